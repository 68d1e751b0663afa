"""Measures what the models are worth on pictures that no training saw."""
