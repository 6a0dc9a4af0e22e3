"""Predictions with an export, straight from its directory."""
