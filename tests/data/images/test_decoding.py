import io

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from modelyard.data.images.decoding import decode_image_bytes


def encode(pixels, file_format="PNG", **options):
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, file_format, **options)
    return buffer.getvalue()


@pytest.fixture
def colour():
    return np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)


def decode(encoded, height=6, width=5, channels=3):
    return decode_image_bytes(
        tf.constant(encoded), height=height, width=width, channels=channels
    ).numpy()


@pytest.mark.parametrize("file_format", ["PNG", "BMP"])
def test_exact_size_keeps_every_pixel(colour, file_format):
    pixels = decode(encode(colour, file_format))
    assert pixels.dtype == np.float32
    np.testing.assert_array_equal(pixels, colour)


def test_grey_pixels_are_exact_as_grey_and_as_colour():
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    encoded = encode(grey)
    np.testing.assert_array_equal(decode(encoded, 16, 16, 1)[..., 0], grey)
    for channel in range(3):
        np.testing.assert_array_equal(decode(encoded, 16, 16, 3)[..., channel], grey)


def test_colour_becomes_luma():
    red = np.full((6, 5, 3), (255, 0, 0), np.uint8)
    assert set(decode(encode(red), channels=1).ravel()) == {76}


def test_alpha_is_dropped():
    grey_alpha = np.stack(
        [np.full((6, 5), 90, np.uint8), np.zeros((6, 5), np.uint8)], 2
    )
    assert set(decode(encode(grey_alpha), channels=1).ravel()) == {90}
    rgba = np.full((6, 5, 4), (10, 20, 30, 0), np.uint8)
    np.testing.assert_array_equal(decode(encode(rgba))[0, 0], (10, 20, 30))


def test_sixteen_bit_png_keeps_the_high_bits():
    deep = np.full((6, 5), 0x8012, np.uint16)
    assert set(decode(encode(deep), channels=1).ravel()) == {0x80}


def test_first_frame_of_an_animation_is_used():
    frames = [PIL.Image.new("RGB", (5, 6), colour) for colour in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(decode(buffer.getvalue())[2, 2], (255, 0, 0))


def test_jpeg_is_decoded_approximately():
    smooth = np.full((6, 5, 3), (200, 100, 50), np.uint8)
    np.testing.assert_allclose(decode(encode(smooth, "JPEG")), smooth, atol=4)


def test_one_pixel_fills_the_image():
    pixels = decode(encode(np.full((1, 1, 3), (7, 8, 9), np.uint8)))
    np.testing.assert_array_equal(pixels, np.full((6, 5, 3), (7, 8, 9)))


def test_shrinking_is_antialiased_to_whole_values():
    lines = np.zeros((64, 64), np.uint8)
    lines[:, ::8] = 240
    pixels = decode(encode(lines), 8, 8, 1)
    np.testing.assert_array_equal(pixels, np.round(pixels))
    assert pixels.min() > 0  # Sampling without a filter would miss every line.


def test_twenty_megapixels_are_decoded():
    large = np.full((4000, 5000), 50, np.uint8)
    assert set(decode(encode(large, compress_level=1), channels=1).ravel()) == {50}


@pytest.mark.parametrize(
    "encoded", [b"", b"words", b"\x89PNG\r\n\x1a\n", b"RIFF1234WEBP"]
)
def test_undecodable_bytes_are_refused(encoded):
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(encoded)


def test_truncated_jpeg_is_refused():
    encoded = encode(
        np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8), "JPEG"
    )
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(encoded[: len(encoded) // 2])


def test_saved_graph_decodes_batches_like_eager_code(tmp_path, colour):
    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def serve(self, encoded):
            return tf.map_fn(
                lambda item: decode_image_bytes(item, height=4, width=4, channels=1),
                encoded,
                fn_output_signature=tf.TensorSpec((4, 4, 1), tf.float32),
            )

    tf.saved_model.save(Module(), str(tmp_path))
    files = [encode(colour), encode(colour, "JPEG")]
    served = tf.saved_model.load(str(tmp_path)).serve(tf.constant(files))
    eager = np.stack([decode(file, 4, 4, 1) for file in files])
    np.testing.assert_array_equal(served, eager)


def test_channels_must_be_one_or_three(colour):
    with pytest.raises(ValueError, match=r"`channels` must be 1 or 3.*channels=4"):
        decode(encode(colour), channels=4)
