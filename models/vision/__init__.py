"""Builders of models that take pictures."""
