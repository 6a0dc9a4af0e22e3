"""Builders of models that take tokens."""
