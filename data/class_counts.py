"""A table of the class balance of a data set."""

import numpy as np
import pandas as pd

from modelyard.data.images.loading import ImageSplits
from modelyard.data.texts.loading import TextSplits


def count_classes(splits: ImageSplits | TextSplits) -> pd.DataFrame:
    """Counts the examples of each class in each split.

    Args:
        splits: The data set.

    Returns:
        One row per class, in label order, indexed by class name; int columns
        `train`, `validation` and `test`.
    """
    parts = {
        "train": splits.train,
        "validation": splits.validation,
        "test": splits.test,
    }
    return pd.DataFrame(
        {
            name: np.bincount(part.labels, minlength=splits.num_classes)
            for name, part in parts.items()
        },
        index=pd.Index(splits.class_names, name="class"),
    )
