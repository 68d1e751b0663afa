"""Typed settings and the presets that fill them. Knows no models and no runs."""
