"""Sends shots through the stages; knows no files."""
