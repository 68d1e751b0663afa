"""Typed settings, and the presets that ship."""
