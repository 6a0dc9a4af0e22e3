"""Texts: loading, checks, tokens and batches."""
