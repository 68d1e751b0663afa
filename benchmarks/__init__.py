"""Measurements of quality, speed, training and crash recovery: what `visuals bench` runs."""
