"""Colorization: from grey pictures to coloured ones."""
