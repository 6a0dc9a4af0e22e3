"""Image classification: from a data set to a checked SavedModel."""
