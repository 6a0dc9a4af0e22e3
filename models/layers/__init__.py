"""Layers and activation functions used by the builders."""
