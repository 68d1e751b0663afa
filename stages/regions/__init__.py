"""Mask operations, crop windows, compositing and its metrics."""
