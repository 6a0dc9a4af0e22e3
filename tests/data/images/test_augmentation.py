import numpy as np
import pytest
import tensorflow as tf

from modelyard.data.images.augment import augment_images
from modelyard.data.images.augmentation import Augmentation


def augment(images, augmentation, seed=(0, 1), fill=0.0):
    moved = augment_images(
        tf.constant(images), augmentation, seed=tf.constant(seed, tf.int64), fill=fill
    )
    assert moved.dtype == tf.uint8
    assert moved.shape == images.shape
    return moved.numpy()


def dots(count, side=9):
    images = np.zeros((count, side, side, 1), np.uint8)
    images[:, side // 2, side // 2] = 255
    return images


def test_default_changes_nothing():
    images = np.random.default_rng(0).integers(0, 256, (4, 5, 6, 3), dtype=np.uint8)
    np.testing.assert_array_equal(augment(images, Augmentation()), images)


def test_shift_moves_each_image_by_whole_pixels_evenly():
    moved = augment(dots(2500), Augmentation(shift=2))
    assert (moved.reshape(2500, -1).sum(axis=1) == 255).all()
    _, rows, columns, _ = np.nonzero(moved)
    counts = np.zeros((9, 9))
    np.add.at(counts, (rows, columns), 1)
    assert counts[2:7, 2:7].sum() == 2500
    # 100 expected in each of 25 positions, with a standard deviation below 10.
    assert counts[2:7, 2:7].min() > 60
    assert counts[2:7, 2:7].max() < 140


def test_flip_mirrors_half_of_the_images_exactly():
    image = np.random.default_rng(0).integers(0, 256, (1, 5, 6, 3), dtype=np.uint8)
    images = np.repeat(image, 1000, axis=0)
    moved = augment(images, Augmentation(flip=True))
    same = (moved == images).all(axis=(1, 2, 3))
    mirrored = (moved == images[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert 430 < mirrored.sum() < 570


def test_padding_is_black_or_mirrored():
    images = np.full((64, 6, 6, 1), 200, np.uint8)
    assert augment(images, Augmentation(shift=3)).min() == 0
    assert augment(images, Augmentation(shift=3, padding="reflect")).min() == 200
    ramp = np.tile(np.arange(6, dtype=np.uint8), (64, 6, 1))[..., np.newaxis]
    moved = augment(ramp, Augmentation(shift=2, padding="reflect"))
    assert {tuple(row) for row in moved[:, 0, :, 0]} == {
        tuple(np.pad(range(6), 2, mode="symmetric")[i : i + 6]) for i in range(5)
    }


def test_rotation_keeps_the_centre_and_reaches_its_limit():
    images = np.zeros((500, 21, 21, 1), np.uint8)
    images[:, 10, 10:20] = 255  # A line from the centre to the right.
    moved = augment(images, Augmentation(rotate=30)).astype(float)[..., 0]
    assert (moved[:, 10, 10] == 255).all()
    rows, columns = np.mgrid[:21, :21] - 10
    down = (moved * rows).sum(axis=(1, 2))
    right = (moved * columns).sum(axis=(1, 2))
    angles = np.degrees(np.arctan2(down, right))
    assert np.abs(angles).max() < 32
    assert angles.min() < -28
    assert angles.max() > 28
    assert abs(angles.mean()) < 3


def test_scale_changes_the_size_both_ways():
    images = np.zeros((500, 21, 21, 1), np.uint8)
    images[:, 5:16, 5:16] = 255
    areas = augment(images, Augmentation(scale=0.2)).sum(axis=(1, 2, 3)) / 255
    assert 0.55 < areas.min() / 121 < 0.72  # 0.8 squared is 0.64.
    assert 1.35 < areas.max() / 121 < 1.55  # 1.2 squared is 1.44.


def test_shear_slants_columns_and_leaves_rows_in_place():
    images = np.zeros((200, 21, 21, 1), np.uint8)
    images[:, :, 10] = 255
    moved = augment(images, Augmentation(shear=20))[..., 0].astype(float)
    centres = (moved * np.arange(21)).sum(axis=2) / moved.sum(axis=2)
    lean = centres[:, 18] - centres[:, 2]
    assert np.abs(centres[:, 10] - 10).max() < 0.1
    assert 5 < np.abs(lean).max() < 6.2  # 16 rows times tan(20 degrees) is 5.8.


def test_interpolation_does_not_darken():
    images = np.full((64, 21, 21, 3), 100, np.uint8)
    moved = augment(images, Augmentation(rotate=20, scale=0.1, padding="reflect"))
    assert set(moved.ravel()) == {100}


def test_cutout_hides_a_square_that_the_border_may_clip():
    images = np.full((2000, 12, 10, 3), 200, np.uint8)
    hidden = augment(images, Augmentation(cutout=4), fill=[1.4, 2.0, 3.0])
    where = (hidden != 200).all(axis=3)
    np.testing.assert_array_equal(hidden[where], np.tile([1, 2, 3], (where.sum(), 1)))
    areas = where.sum(axis=(1, 2))
    assert areas.max() == 16
    assert areas.min() == 4
    assert set(where.any(axis=1).sum(axis=1)) == {2, 3, 4}
    # Every pixel is hidden at times, corners less often.
    frequency = where.mean(axis=0)
    assert frequency.min() > 0.01
    assert abs(frequency[6, 5] - 16 / 120) < 0.04


def test_result_follows_the_seed():
    images = np.random.default_rng(0).integers(0, 256, (8, 9, 9, 1), dtype=np.uint8)
    everything = Augmentation(2, flip=True, rotate=9, scale=0.1, shear=5, cutout=3)
    first = augment(images, everything)
    np.testing.assert_array_equal(first, augment(images, everything))
    assert (first != augment(images, everything, seed=(0, 3))).any()
    assert (first != augment(images, everything, seed=(1, 1))).any()


@pytest.mark.parametrize(
    ("field", "value"),
    [("shift", -1), ("rotate", 181), ("scale", 1.0), ("shear", 90), ("cutout", -2)],
)
def test_value_out_of_range_is_named(field, value):
    with pytest.raises(ValueError, match=rf"`{field}` must.*Received: {field}={value}"):
        Augmentation(**{field: value})


def test_unknown_padding_is_named():
    with pytest.raises(ValueError, match=r"`padding` must be.*'wrap'"):
        Augmentation(padding="wrap")


@pytest.mark.parametrize("field", ["shift", "cutout"])
def test_value_too_large_for_the_images_is_named(field):
    with pytest.raises(ValueError, match=rf"`{field}` must be below.*8x9.*{field}=8"):
        Augmentation(**{field: 8}).check_fits((8, 9, 1))


def test_given_mirroring_overrides_the_random_one():
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 1), dtype=np.uint8)
    moved = augment_images(
        tf.constant(images),
        Augmentation(flip=True, alternate_flip=True),
        seed=tf.constant((0, 1), tf.int64),
        mirrored=tf.constant([True, False, True]),
    ).numpy()
    np.testing.assert_array_equal(moved[1], images[1])
    np.testing.assert_array_equal(moved[::2], images[::2, :, ::-1])


def test_alternating_flips_require_flips():
    with pytest.raises(ValueError, match="`alternate_flip` requires `flip`"):
        Augmentation(alternate_flip=True)
