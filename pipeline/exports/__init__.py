"""Annotated datasets and training sets from run folders."""
