"""Detector backends and close-up scoring."""
