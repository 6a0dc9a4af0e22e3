"""Errors about data sets."""


class DatasetError(ValueError):
    """The name of a data set is wrong, or its data cannot be trained on."""


class DatasetUnavailableError(RuntimeError):
    """A data set is not installed, and could not be downloaded."""
