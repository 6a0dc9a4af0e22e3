"""Predictions from an export, read directly from its directory."""
