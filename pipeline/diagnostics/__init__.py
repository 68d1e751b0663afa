"""Checks of the installation and of presets."""
