"""Layers that several builders share."""
