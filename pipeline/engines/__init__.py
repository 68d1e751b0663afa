"""Engines other than this process: a run's shots on a Ray cluster."""
