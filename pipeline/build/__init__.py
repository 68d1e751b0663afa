"""Builds stages from settings."""
