"""Texts: loading, checks, tokenisation and batching."""
