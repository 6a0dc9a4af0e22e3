"""Transfer learning: a pretrained backbone becomes a classifier of your images."""
