"""Licences of models: which one a model has, and what it allows."""
