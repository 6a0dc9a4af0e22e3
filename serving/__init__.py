"""Checks and runs exports, given only the files of a SavedModel."""
