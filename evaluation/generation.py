"""Metrics of generated images: quality, diversity and class balance.

Quality and diversity are measured on features, which a classifier computes from real
and from generated images. The values depend on the classifier and on the numbers of
images, so compare only values with the same of both.
"""

from collections.abc import Iterator, Sequence

import numpy as np

_NEIGHBORS = 3  # As in the paper on precision and recall.
_CHUNK_DISTANCES = 2**21  # 16 MiB.
_ROUNDING = 1e-12  # Relative error of squared distances, with a margin.


def frechet_distance(real: np.ndarray, fake: np.ndarray) -> float:
    """Computes the Fréchet distance of two Gaussians fitted to features.

    The distance is that of the FID, `|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))`, with
    unbiased covariances. It is biased upwards, more so for fewer samples.

    Args:
        real: Features of real images, integer or floating `(n, d)`; `n` is at least 2
            and may be below `d`.
        fake: Features of generated images `(m, d)`; `m` is at least 2.

    Returns:
        The squared distance, 0 or more, in squared units of the features.

    Raises:
        ValueError: If shapes, dtypes or values are not as above.

    Reference:
        [Heusel et al., 2017](https://arxiv.org/abs/1706.08500)
    """
    real, fake = _check(real, fake, minimum=2)
    real_factor, fake_factor = _covariance_factor(real), _covariance_factor(fake)
    spread = np.square(real_factor).sum() + np.square(fake_factor).sum()
    # For C1 = A'A and C2 = B'B, the eigenvalues of C1 C2 are those of the symmetric
    # (AB')(AB')', so their roots are the singular values of AB'. Forming neither the
    # product nor the covariances keeps twice as many digits.
    overlap = np.linalg.norm(real_factor @ fake_factor.T, "nuc")
    shift = np.square(real.mean(axis=0) - fake.mean(axis=0)).sum()
    return float(shift + max(spread - 2 * overlap, 0))


def kernel_distance(
    real: np.ndarray, fake: np.ndarray, *, block_size: int = 1000, seed: int = 0
) -> dict:
    """Computes the kernel distance (KID), the squared MMD with a cubic kernel.

    The kernel is `(x · y / d + 1)^3`. The samples are shuffled and divided into
    disjoint blocks; each block gives an unbiased estimate, which can be negative. If
    one set is larger, a random part of it is used, as large as the other set.

    Args:
        real: Features of real images, integer or floating `(n, d)`; `n` is at least 2.
        fake: Features of generated images `(m, d)`; `m` is at least 2.
        block_size: Samples of each set per block, at least 2. Blocks share a remainder.
            If there are fewer samples, they form one block.
        seed: Seed of the shuffling.

    Returns:
        A JSON-ready dict: `mean` of the blocks; `sd`, their standard deviation, `None`
        for a single block; and `num_blocks`. The standard error of the mean is `sd`
        divided by the square root of `num_blocks`.

    Raises:
        ValueError: If shapes, dtypes or values are not as above.

    Reference:
        [Bińkowski et al., 2018](https://arxiv.org/abs/1801.01401)
    """
    real, fake = _check(real, fake, minimum=2)
    if block_size < 2:
        raise ValueError(
            f"`block_size` must be at least 2. Received: block_size={block_size}"
        )
    size = min(len(real), len(fake))
    num_blocks = max(1, size // block_size)
    rng = np.random.default_rng(seed)
    real_blocks, fake_blocks = (
        np.array_split(rng.permutation(len(features))[:size], num_blocks)
        for features in (real, fake)
    )
    values = [
        _squared_mmd(real[chosen], fake[drawn])
        for chosen, drawn in zip(real_blocks, fake_blocks, strict=True)
    ]
    return {
        "mean": float(np.mean(values)),
        "sd": float(np.std(values, ddof=1)) if num_blocks > 1 else None,
        "num_blocks": num_blocks,
    }


def precision_recall(
    real: np.ndarray, fake: np.ndarray, *, neighbors: int = _NEIGHBORS
) -> tuple[float, float]:
    """Computes the improved precision and recall of generated images.

    Each set of features stands for a region: the union of balls around its members,
    each of which reaches to the member's k-th nearest neighbour in the set.

    Args:
        real: Features of real images, integer or floating `(n, d)`; `n` is above
            `neighbors`.
        fake: Features of generated images `(m, d)`; `m` is above `neighbors`.
        neighbors: The `k` above, at least 1.

    Returns:
        `(precision, recall)` in [0, 1]: the share of generated images in the region of
        the real ones (quality), and the share of real images in the region of the
        generated ones (diversity).

    Raises:
        ValueError: If shapes, dtypes or values are not as above.

    Reference:
        [Kynkäänniemi et al., 2019](https://arxiv.org/abs/1904.06991)
    """
    if neighbors < 1:
        raise ValueError(
            f"`neighbors` must be at least 1. Received: neighbors={neighbors}"
        )
    real, fake = _check(real, fake, minimum=neighbors + 1)
    # Distances are differences of squares, which are most precise near the origin.
    center = real.mean(axis=0)
    real, fake = real - center, fake - center
    real_reach, fake_reach = (_squared_reach(side, neighbors) for side in (real, fake))
    is_precise, is_recalled = np.zeros(len(fake), bool), np.zeros(len(real), bool)
    for rows, squares in _distance_chunks(fake, real):
        is_precise[rows] = (squares <= real_reach).any(axis=1)
        is_recalled |= (squares <= fake_reach[rows, None]).any(axis=0)
    return float(is_precise.mean()), float(is_recalled.mean())


def generation_metrics(real: np.ndarray, fake: np.ndarray, *, seed: int = 0) -> dict:
    """Computes all metrics of generated images on features.

    Args:
        real: Features of real images, integer or floating `(n, d)`; `n` is at least 4.
        fake: Features of generated images `(m, d)`; `m` is at least 4.
        seed: Seed of the blocks of the kernel distance.

    Returns:
        A JSON-ready dict: `num_real`; `num_fake`; `frechet_distance`;
        `kernel_distance`, a dict as in the function of that name; `precision`; and
        `recall`.

    Raises:
        ValueError: If shapes, dtypes or values are not as above.
    """
    real, fake = _check(real, fake, minimum=_NEIGHBORS + 1)
    precision, recall = precision_recall(real, fake)
    return {
        "num_real": len(real),
        "num_fake": len(fake),
        "frechet_distance": frechet_distance(real, fake),
        "kernel_distance": kernel_distance(real, fake, seed=seed),
        "precision": precision,
        "recall": recall,
    }


def metric_floor(real: np.ndarray, *, seed: int = 0) -> dict:
    """Computes the metrics between two random halves of real features.

    They are what a perfect generator would get on as many images as a half holds. For
    more images, its Fréchet distance would be lower.

    Args:
        real: Features of real images, integer or floating `(n, d)`; `n` is at least 8.
            If `n` is odd, one sample is left out.
        seed: Seed of the halves and of the blocks of the kernel distance.

    Returns:
        A dict as in `generation_metrics`.

    Raises:
        ValueError: If shapes, dtypes or values are not as above.
    """
    real = _check_one("real", real, minimum=2 * (_NEIGHBORS + 1))
    order = np.random.default_rng(seed).permutation(len(real))
    half = len(real) // 2
    return generation_metrics(
        real[order[:half]], real[order[half : 2 * half]], seed=seed
    )


def class_balance(
    labels: np.ndarray, num_classes: int, *, expected: Sequence[float] | None = None
) -> dict:
    """Computes how evenly generated images cover the classes.

    Args:
        labels: Integer `(n,)` in [0, `num_classes`), the classes of the generated
            images according to a classifier; at least one.
        num_classes: Number of classes, at least 1.
        expected: The shares to compare with, `num_classes` numbers that add up to 1;
            `None` for equal shares.

    Returns:
        A JSON-ready dict: `num_examples`; `shares` of the classes; and
        `total_variation`, half the sum of absolute differences from the expected
        shares, from 0 (as expected) to 1.

    Raises:
        ValueError: If an argument is not as above.
    """
    labels = np.asarray(labels)
    if num_classes < 1:
        raise ValueError(
            f"`num_classes` must be at least 1. Received: num_classes={num_classes}"
        )
    if labels.ndim != 1 or not len(labels) or labels.dtype.kind not in "iu":
        raise ValueError(
            "`labels` must be integers of the shape (examples,), at least one. "
            f"Received: labels.shape={labels.shape}, labels.dtype={labels.dtype}"
        )
    if labels.min() < 0 or labels.max() >= num_classes:
        raise ValueError(
            f"`labels` must be in [0, {num_classes}). "
            f"Received: {labels.min()} to {labels.max()}"
        )
    if expected is None:
        wanted = np.full(num_classes, 1 / num_classes)
    else:
        wanted = np.asarray(expected, "float64")
    # NaN fails both comparisons.
    is_distribution = (wanted >= 0).all() and abs(wanted.sum() - 1) <= 1e-6
    if wanted.shape != (num_classes,) or not is_distribution:
        raise ValueError(
            f"`expected` must be {num_classes} shares, 0 or more, that add up to 1. "
            f"Received: expected={expected}"
        )
    counts = np.bincount(labels.astype("int64"), minlength=num_classes)
    shares = counts / len(labels)
    return {
        "num_examples": len(labels),
        "shares": shares.tolist(),
        "total_variation": float(np.abs(shares - wanted).sum() / 2),
    }


def _covariance_factor(features: np.ndarray) -> np.ndarray:
    """A matrix `A` of at most `d` rows for which `A'A` is the covariance."""
    centered = features - features.mean(axis=0)
    return np.linalg.qr(centered, mode="r") / np.sqrt(len(features) - 1)


def _squared_mmd(real: np.ndarray, fake: np.ndarray) -> float:
    """The unbiased estimate of the squared maximum mean discrepancy."""
    within = 0.0
    for features in (real, fake):
        kernel = _cubic_kernel(features, features)
        pairs = len(features) * (len(features) - 1)
        within += (kernel.sum() - np.trace(kernel)) / pairs
    return within - 2 * _cubic_kernel(real, fake).mean()


def _cubic_kernel(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The kernel of the KID between all pairs."""
    kernel = first @ second.T / first.shape[1] + 1
    return kernel * kernel * kernel  # Much faster than a power.


def _squared_reach(features: np.ndarray, neighbors: int) -> np.ndarray:
    """Squared distances to the k-th nearest neighbours, with a margin for rounding."""
    reach = np.empty(len(features))
    for rows, squares in _distance_chunks(features, features):
        # Every sample is the nearest to itself.
        squares.partition(neighbors, axis=1)
        reach[rows] = squares[:, neighbors]
    return reach + _ROUNDING * (reach + np.square(features).sum(axis=1))


def _distance_chunks(
    first: np.ndarray, second: np.ndarray
) -> Iterator[tuple[slice, np.ndarray]]:
    """Squared distances to all of `second`, for a few rows of `first` at a time."""
    size = max(1, _CHUNK_DISTANCES // len(second))
    for start in range(0, len(first), size):
        rows = slice(start, start + size)
        yield rows, squared_distances(first[rows], second)


def squared_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Computes squared distances between all pairs of rows.

    Args:
        first: float64 `(n, d)`.
        second: float64 `(m, d)`.

    Returns:
        float64 `(n, m)`; rounding may make 0 negative.
    """
    squares = (-2 * first) @ second.T
    squares += np.square(first).sum(axis=1)[:, None]
    squares += np.square(second).sum(axis=1)
    return squares


def _check(
    real: np.ndarray, fake: np.ndarray, *, minimum: int
) -> tuple[np.ndarray, np.ndarray]:
    """Checks two sets of features; returns both as float64."""
    real = _check_one("real", real, minimum=minimum)
    fake = _check_one("fake", fake, minimum=minimum)
    if real.shape[1] != fake.shape[1]:
        raise ValueError(
            f"`fake` must have as many features as `real`, {real.shape[1]}. "
            f"Received: fake.shape={fake.shape}"
        )
    return real, fake


def _check_one(name: str, features: np.ndarray, *, minimum: int) -> np.ndarray:
    """Checks a set of features; returns it as float64."""
    features = np.asarray(features)
    if features.ndim != 2 or len(features) < minimum or not features.shape[1]:
        raise ValueError(
            f"`{name}` must have the shape (samples, features), with at least "
            f"{minimum} samples and one feature. "
            f"Received: {name}.shape={features.shape}"
        )
    if features.dtype.kind not in "iuf":
        raise ValueError(
            f"`{name}` must be integers or floating point. "
            f"Received: {name}.dtype={features.dtype}"
        )
    if not np.isfinite(features).all():
        bad = int(np.sum(~np.isfinite(features)))
        raise ValueError(
            f"`{name}` must be finite. Received: {bad} values of NaN or infinity"
        )
    return features.astype("float64", copy=False)
