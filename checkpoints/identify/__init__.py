"""Tells what kind of model a file or folder holds."""
