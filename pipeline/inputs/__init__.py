"""Inputs of a run: files, prompt tables, previous runs, masks."""
