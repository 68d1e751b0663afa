"""Captions pictures with BLIP."""
