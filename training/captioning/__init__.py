"""Captioning of training pictures by BLIP."""
