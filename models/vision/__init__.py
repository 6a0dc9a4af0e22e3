"""Builders of image models, from raw pixels."""
