"""Cutting, shrinking and encoding pictures, against Pillow and against plain bilinear interpolation."""

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.hands.crops import crop, encode, gray, shrink, size_of


def smooth_picture(width: int, height: int, seed: int = 0) -> np.ndarray:
    """RGB without sharp edges, so that chroma at half resolution loses little."""
    small = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def yuv420(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Planes as JPEG and MPEG-1 site them (a chroma sample is the mean of a 2×2 block), at the range of videos."""
    y, u, v = np.moveaxis(np.asarray(Image.fromarray(rgb).convert("YCbCr")), 2, 0)
    even = [np.pad(plane, [(0, size % 2) for size in plane.shape], mode="edge").astype(float) for plane in (u, v)]
    halves = [sum(plane[i::2, j::2] for i in (0, 1) for j in (0, 1)) / 4 for plane in even]
    limited = [y * (219 / 255) + 16, *((half - 128) * (224 / 255) + 128 for half in halves)]
    return tuple(plane.round().astype(np.uint8) for plane in limited)


def decoded(jpeg: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(jpeg))
    assert "progressive" not in image.info
    return np.asarray(image)


@pytest.mark.parametrize(
    "box", [(10, 20, 70, 90), (11, 20, 70, 91), (10, 21, 71, 90), (11, 21, 70, 90), (0, 0, 97, 101)]
)
def test_a_crop_of_planes_shows_what_a_crop_of_rgb_shows(box: tuple[int, int, int, int]) -> None:
    rgb = smooth_picture(97, 101)
    x0, y0, x1, y1 = box
    image = decoded(encode(crop(yuv420(rgb), list(box)), 95))
    assert image.shape == (y1 - y0, x1 - x0, 3)
    straight = decoded(encode(rgb[y0:y1, x0:x1], 95))
    error = [np.abs(shown.astype(int) - rgb[y0:y1, x0:x1]).mean() for shown in (image, straight)]
    assert error[0] < 1.3 * error[1]


def test_small_pictures_keep_their_size() -> None:
    planes = yuv420(smooth_picture(300, 256))
    assert shrink(planes, aliased=True) is planes


@pytest.mark.parametrize("size", [(512, 512), (301, 700), (700, 301)])
def test_the_short_side_becomes_256(size: tuple[int, int]) -> None:
    rgb = smooth_picture(*size)
    short = min(size)
    expected = (256 * size[0] // short, 256 * size[1] // short)
    for picture in (rgb, yuv420(rgb), gray(rgb)):
        small = shrink(picture, aliased=False)
        assert size_of(small) == expected
        assert Image.open(io.BytesIO(encode(small, 95))).size == expected


def test_aliased_shrinking_samples_two_pixels_per_axis() -> None:
    plane = np.random.default_rng(1).integers(0, 256, (512, 600), np.uint8)
    (small,) = shrink((plane,), aliased=True)
    height, width = 256, 256 * 600 // 512
    y = (np.arange(height) + 0.5) * 512 / height - 0.5
    x = (np.arange(width) + 0.5) * 600 / width - 0.5
    y0, x0 = np.floor(y).astype(int), np.floor(x).astype(int)
    wy, wx = (y - y0)[:, None], (x - x0)[None, :]
    at = lambda rows, columns: plane[np.clip(rows, 0, 511)][:, np.clip(columns, 0, 599)].astype(float)  # noqa: E731
    top = at(y0, x0) * (1 - wx) + at(y0, x0 + 1) * wx
    bottom = at(y0 + 1, x0) * (1 - wx) + at(y0 + 1, x0 + 1) * wx
    np.testing.assert_allclose(small, top * (1 - wy) + bottom * wy, atol=1.01)
    (smoothed,) = shrink((plane,), aliased=False)
    assert smoothed.std() < small.std()


def test_grey_is_pillow_s() -> None:
    rgb = smooth_picture(40, 30)
    (plane,) = gray(rgb)
    np.testing.assert_array_equal(plane, np.asarray(Image.fromarray(rgb).convert("L")))
    assert Image.open(io.BytesIO(encode((plane,), 95))).mode == "L"


@pytest.mark.parametrize(("width", "height"), ((90, 45), (89, 46), (89, 45), (90, 46)))
def test_a_jpeg_depends_on_nothing_beyond_its_picture(width, height) -> None:
    y, u, v = yuv420(smooth_picture(width + width % 2, height + height % 2))
    luma, jpegs = y[:height, :width], set()
    for beyond in (0, 100, 255):
        memory = np.full(height * width + 4 * width, beyond, np.uint8)
        plane = memory[: height * width].reshape(height, width)
        plane[:] = luma
        jpegs.add(encode((plane, u, v), 95))
    assert len(jpegs) == 1
    decoded = np.asarray(Image.open(io.BytesIO(jpegs.pop())).convert("YCbCr"), int)[..., 0]
    assert decoded.shape == luma.shape
    assert np.abs(decoded - luma).mean() < 2
