"""Imports a product catalogue into a training set."""
