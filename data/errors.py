"""What can be wrong with a data set."""


class DatasetError(ValueError):
    """A data set is misnamed, or its data cannot be trained on."""


class DatasetUnavailableError(RuntimeError):
    """A data set is neither on this machine nor to be had."""
