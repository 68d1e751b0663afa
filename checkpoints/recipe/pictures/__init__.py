"""Rendered pictures and their augmentation."""
