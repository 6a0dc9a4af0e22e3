"""Checks whether a SavedModel will work in TF Serving."""
