"""Cutting a hand out of a frame: crop, shrink, encode. A picture is a tuple of uint8 planes, or one RGB array (H, W,
3).

Planes are Y, U and V at full range, U and V of half the size (as JPEG stores them), or just a grey Y.
"""

import numpy as np
import simplejpeg
from PIL import Image

# The trainer's 224-pixel window comes out of crops whose short side is 256: more pixels would only cost time.
SHORT_SIDE = 256
Planes = tuple[np.ndarray, ...]
Picture = Planes | np.ndarray


def crop(image: Picture, box: list[int]) -> Picture:
    """The part of a picture in a box (x0, y0, x1, y1).

    Where the box starts at an odd pixel, its chroma samples lie between the frame's: they are the mean of two.
    """
    x0, y0, x1, y1 = box
    if isinstance(image, np.ndarray):
        return image[y0:y1, x0:x1]
    luma = np.ascontiguousarray(image[0][y0:y1, x0:x1])
    return (luma, *(_halved(_halved(plane, y0, y1, 0), x0, x1, 1) for plane in image[1:]))


def _halved(plane: np.ndarray, start: int, end: int, axis: int) -> np.ndarray:
    count, first = -(-(end - start) // 2), start // 2
    indexes = np.minimum(np.arange(first, first + count), plane.shape[axis] - 1)
    cut = plane.take(indexes, axis)
    if start % 2:
        after = plane.take(np.minimum(indexes + 1, plane.shape[axis] - 1), axis)
        cut = ((cut.astype(np.uint16) + after + 1) >> 1).astype(np.uint8)
    return cut


def size_of(image: Picture) -> tuple[int, int]:
    """Width and height."""
    height, width = (image if isinstance(image, np.ndarray) else image[0]).shape[:2]
    return width, height


def grey(image: np.ndarray) -> Planes:
    """An RGB array as 8-bit grey, by Pillow's (Rec. 601) weights."""
    return (np.asarray(Image.fromarray(np.ascontiguousarray(image)).convert("L")),)


def shrink(image: Picture, aliased: bool) -> Picture:
    """The picture with a short side of at most 256 (long side int(256·long/short)), bilinear, antialiased or not."""
    width, height = size_of(image)
    short = min(width, height)
    if short <= SHORT_SIDE:
        return image
    new_width, new_height = SHORT_SIDE * width // short, SHORT_SIDE * height // short
    if isinstance(image, np.ndarray):
        return _resize(np.ascontiguousarray(image), (new_width, new_height), aliased)
    sizes = [(new_width, new_height)] + [(-(-new_width // 2), -(-new_height // 2))] * (len(image) - 1)
    return tuple(_resize(plane, size, aliased) for plane, size in zip(image, sizes, strict=True))


def _resize(plane: np.ndarray, size: tuple[int, int], aliased: bool) -> np.ndarray:
    image = Image.fromarray(plane)
    if not aliased:
        return np.asarray(image.resize(size, Image.Resampling.BILINEAR))
    # An affine transform samples two pixels per axis wherever it lands, as OpenCV's bilinear resize does.
    matrix = (image.width / size[0], 0, 0, 0, image.height / size[1], 0)
    return np.asarray(image.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR))


def encode(image: Picture, quality: int) -> bytes:
    """A baseline JPEG, 4:2:0; planes go in as they are, without a colour conversion."""
    if isinstance(image, np.ndarray):
        return simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality, "RGB", "420")
    if len(image) == 1:
        return simplejpeg.encode_jpeg_yuv_planes(image[0], None, None, quality)
    y, u, v = image
    height, width = y.shape
    if height % 2 or width % 2:
        # 4:2:0 takes luma in pairs of rows and columns, and libjpeg-turbo reads the second of the last pair, too:
        # without this, whatever lies there in memory, so that the same crop gives other bytes each time.
        y = np.pad(y, ((0, height % 2), (0, width % 2)), mode="edge")[:height, :width]
    return simplejpeg.encode_jpeg_yuv_planes(y, u, v, quality)
