"""Identifies models by their files: kind, family, transformers class."""
