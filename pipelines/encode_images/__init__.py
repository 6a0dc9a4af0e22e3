"""Image encoding: from images to a few numbers each, and back."""
