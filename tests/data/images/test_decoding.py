import io
import struct

import keras
import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
import tensorflow as tf

from modelyard.data.images.decoding import (
    decode_image_bytes,
    decode_picture,
    read_orientation,
)


def encode(pixels, file_format="PNG", **options):
    buffer = io.BytesIO()
    if isinstance(pixels, np.ndarray):
        pixels = PIL.Image.fromarray(pixels)
    pixels.save(buffer, file_format, **options)
    return buffer.getvalue()


def random_picture(height=9, width=13, mode="RGB", seed=0):
    """Noise, smooth enough for JPEG."""
    noise = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), np.uint8)
    return PIL.Image.fromarray(noise).resize((width, height)).convert(mode)


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
    with pytest.raises(ValueError, match=r"`channels` must be 1 or 3.*channels=2"):
        decode_picture(encode(colour), channels=2)


_TRANSPARENT = {"transparency": 3}
_VARIANTS = {
    "png grey": ("L", "PNG", {}, 0),
    "png grey transparent": ("L", "PNG", _TRANSPARENT, 0),
    "png colour": ("RGB", "PNG", {}, 0),
    "png RGBA": ("RGBA", "PNG", {}, 0),
    "png LA": ("LA", "PNG", {}, 0),
    "png palette": ("P", "PNG", {}, 0),
    "png palette transparent": ("P", "PNG", _TRANSPARENT, 0),
    "png 1 bit": ("1", "PNG", {}, 0),
    "jpeg colour": ("RGB", "JPEG", {}, 4),
    "jpeg grey": ("L", "JPEG", {}, 4),
    "jpeg CMYK": ("CMYK", "JPEG", {}, 4),
    "jpeg progressive": ("RGB", "JPEG", {"progressive": True}, 4),
    "gif": ("RGB", "GIF", {}, 0),
    "gif grey": ("L", "GIF", {}, 0),
    "bmp 24": ("RGB", "BMP", {}, 0),
    "bmp 32": ("RGBA", "BMP", {}, 0),
}


@pytest.mark.parametrize("size", [(9, 13), (1, 1)])
@pytest.mark.parametrize("variant", _VARIANTS)
def test_pixels_agree_with_pillow(variant, size):
    mode, file_format, options, tolerance = _VARIANTS[variant]
    encoded = encode(random_picture(*size, mode=mode), file_format, **options)
    with PIL.Image.open(io.BytesIO(encoded)) as image:
        expected = np.asarray(image.convert("RGB"))
    pixels = decode_picture(encoded, channels=3).numpy()
    assert pixels.dtype == np.float32
    assert pixels.shape == (*size, 3)
    np.testing.assert_allclose(pixels, expected, atol=tolerance)
    grey = decode_picture(encoded, channels=1).numpy()
    luma = np.round(pixels @ np.array([[0.2989], [0.587], [0.114]]))
    np.testing.assert_allclose(grey, luma, atol=1)
    np.testing.assert_array_equal(grey, np.round(grey))


def test_first_frame_of_an_animation_is_the_picture():
    frames = [random_picture(mode="P", seed=seed) for seed in (0, 1)]
    encoded = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    expected = np.asarray(frames[0].convert("RGB"))
    np.testing.assert_array_equal(decode_picture(encoded, channels=3), expected)


def test_transparent_pixels_of_a_gif_are_black():
    picture = random_picture().quantize(8)
    encoded = encode(picture, "GIF", transparency=3)
    hidden = np.asarray(picture) == 3
    assert hidden.any()
    assert not decode_picture(encoded, channels=3).numpy()[hidden].any()


def exif_of(orientation, order="II", kind=3, tag=0x0112):
    """EXIF data with another entry before the orientation."""
    mark = {"II": "<", "MM": ">"}[order]
    entries = struct.pack(f"{mark}HHI4s", 0x010F, 2, 4, b"abc\0")
    value = struct.pack(f"{mark}{'HHI'[kind - 2]}", orientation).ljust(4, b"\0")
    entries += struct.pack(f"{mark}HHI4s", tag, kind, 1, value)
    head = order.encode() + struct.pack(f"{mark}HI", 42, 8)
    return b"Exif\0\0" + head + struct.pack(f"{mark}H", 2) + entries + bytes(4)


def insert_segment(encoded, content, *, position=2):
    """Adds an APP1 segment to a JPEG file."""
    segment = b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content
    return encoded[:position] + segment + encoded[position:]


@pytest.fixture(scope="module")
def jpeg():
    return encode(random_picture(16, 24), "JPEG")


@pytest.mark.parametrize("order", ["II", "MM"])
@pytest.mark.parametrize("position", [2, 20])  # Before and after APP0.
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_a_jpeg_file_is_followed(jpeg, orientation, order, position):
    encoded = insert_segment(jpeg, exif_of(orientation, order), position=position)
    with PIL.Image.open(io.BytesIO(encoded)) as image:
        expected = np.asarray(PIL.ImageOps.exif_transpose(image))
    pixels = decode_picture(encoded, channels=3).numpy()
    assert pixels.shape == expected.shape
    np.testing.assert_allclose(pixels, expected, atol=4)
    assert read_orientation(encoded) == orientation


def test_orientation_is_followed_before_resizing(jpeg):
    encoded = insert_segment(jpeg, exif_of(6))
    np.testing.assert_array_equal(
        decode(encoded, 24, 16), decode_picture(encoded, channels=3)
    )
    assert decode(encoded, 5, 7, 1).shape == (5, 7, 1)


@pytest.mark.parametrize(
    "exif",
    [
        exif_of(0),
        exif_of(9),
        exif_of(6, tag=0x0113),
        exif_of(6, kind=2),
        exif_of(6)[:-14],  # Ends within the entry.
        exif_of(6)[:10],
        exif_of(6).replace(b"II*", b"II+"),
        exif_of(6).replace(b"II*", b"IM*"),
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff",
        b"Exif\0\0",
        b"http://ns.adobe.com/xap/1.0/\0",
    ],
)
def test_broken_or_missing_orientation_is_upright(jpeg, exif):
    encoded = insert_segment(jpeg, exif)
    assert read_orientation(encoded) == 1
    np.testing.assert_array_equal(
        decode_picture(encoded, channels=3), decode_picture(jpeg, channels=3)
    )


def test_orientation_may_be_a_long_integer(jpeg):
    assert read_orientation(insert_segment(jpeg, exif_of(8, kind=4))) == 8
    assert read_orientation(insert_segment(jpeg, exif_of(8, "MM", kind=4))) == 8


@pytest.mark.parametrize("end", range(0, 80, 3))
def test_orientation_of_a_cut_file_is_read_without_an_error(jpeg, end):
    encoded = insert_segment(jpeg, exif_of(3))[:end]
    assert int(read_orientation(encoded)) in (1, 3)


def test_orientation_of_other_formats_is_ignored(colour):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    encoded = encode(colour, "PNG", exif=exif)
    np.testing.assert_array_equal(decode_picture(encoded, channels=3), colour)
    assert read_orientation(exif_of(6)) == 1


def bmp_of(bits):
    """A BMP file of one pixel with 16 bits, or of a palette with fewer."""
    if bits == 16:
        header = struct.pack("<2sIHHI", b"BM", 58, 0, 0, 54)
        return header + struct.pack("<IiiHHIIiiII", 40, 1, 1, 1, 16, *[0] * 6) + b"abcd"
    encoded = encode(random_picture(mode="P" if bits > 1 else "1"), "BMP")
    return encoded[:28] + struct.pack("<H", bits) + encoded[30:]


@pytest.mark.parametrize("bits", [1, 4, 8, 16])
def test_bmp_file_that_would_be_noise_is_refused(bits):
    message = r"BMP files must have 24 or 32 bits per pixel\. Save the picture as PNG"
    encoded = bmp_of(bits)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        decode_picture(encoded, channels=3)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        decode(encoded)
    files = tf.data.Dataset.from_tensors(encoded)
    decoded = files.map(lambda item: decode_picture(item, channels=1))
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        next(iter(decoded))


def test_served_graph_turns_pictures_and_refuses_bmp_variants(tmp_path, jpeg):
    def serve(encoded):
        return tf.map_fn(
            lambda item: decode_image_bytes(item, height=8, width=6, channels=3),
            encoded,
            fn_output_signature=tf.TensorSpec((8, 6, 3), tf.float32),
        )

    archive = keras.export.ExportArchive()
    archive.add_endpoint("serve", serve, [tf.TensorSpec([None], tf.string)])
    archive.write_out(str(tmp_path), verbose=False)
    artifact = tf.saved_model.load(str(tmp_path))
    files = [insert_segment(jpeg, exif_of(6)), jpeg, encode(random_picture(), "BMP")]
    eager = np.stack([decode(file, 8, 6) for file in files])
    np.testing.assert_array_equal(artifact.serve(tf.constant(files)), eager)
    with pytest.raises(tf.errors.InvalidArgumentError, match="BMP files must have 24"):
        artifact.serve(tf.constant([jpeg, bmp_of(8)]))
