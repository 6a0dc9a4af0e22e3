"""Builders of text models, from token ids."""
