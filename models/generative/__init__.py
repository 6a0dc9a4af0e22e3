"""Builders of networks that generate images, and of their discriminators."""
