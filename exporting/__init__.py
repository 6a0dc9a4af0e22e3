"""From a trained model to a published, checked SavedModel."""
