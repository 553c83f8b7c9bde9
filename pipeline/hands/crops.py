"""Cutting a hand out of a frame: crop, shrink, encode.

A picture is a tuple of uint8 planes, or one RGB array (H, W, 3). Planes are Y, U and V, U and V of half the size, or
just a gray Y: of frames at limited range (as videos store them), of crops at full range (as JPEG does).
"""

import numpy as np
import simplejpeg
from PIL import Image

# The trainer's 224-pixel window comes out of crops whose short side is 256: more pixels would only cost time.
SHORT_SIDE = 256
Planes = tuple[np.ndarray, ...]
FramePixels = Planes | np.ndarray


def crop(image: FramePixels, box: list[int]) -> FramePixels:
    """The part of a picture in a box (x0, y0, x1, y1). Planes are stretched from a video's limited range to full range.

    Where the box starts at an odd pixel, its chroma samples lie between the frame's: they are the mean of two.
    """
    x0, y0, x1, y1 = box
    if isinstance(image, np.ndarray):
        return image[y0:y1, x0:x1]
    luma = _stretched(image[0][y0:y1, x0:x1], _LUMA)
    # One sample more than the box has, for the means.
    chroma = [_stretched(plane[y0 // 2 : y1 // 2 + 1, x0 // 2 : x1 // 2 + 1], _CHROMA) for plane in image[1:]]
    height, width = -(-(y1 - y0) // 2), -(-(x1 - x0) // 2)
    return (luma, *(_between(_between(plane, y0, height).T, x0, width).T for plane in chroma))


def _between(plane: np.ndarray, start: int, count: int) -> np.ndarray:
    """`count` rows of half-size chroma for luma rows that begin at `start`."""
    if start % 2 == 0:
        return plane[:count]
    after = plane[1 : count + 1]
    if len(after) < count:  # the frame ends there
        after = np.concatenate([after, plane[-1:]])
    return ((plane[:count].astype(np.uint16) + after + 1) >> 1).astype(np.uint8)


def _table(low: int, high: int, middle: float) -> bytes:
    """From limited range (`low` to `high`) to 0 … 255 about `middle`, for `bytes.translate`."""
    values = (np.arange(256) - (low + high) / 2) * 255 / (high - low) + middle
    return np.clip(np.rint(values), 0, 255).astype(np.uint8).tobytes()


# Rec. 601: luma 16 to 235, chroma 16 to 240 about 128.
_LUMA, _CHROMA = _table(16, 235, 127.5), _table(16, 240, 128)


def _stretched(plane: np.ndarray, table: bytes) -> np.ndarray:
    return np.frombuffer(plane.tobytes().translate(table), np.uint8).reshape(plane.shape)


def size_of(image: FramePixels) -> tuple[int, int]:
    """Width and height."""
    height, width = (image if isinstance(image, np.ndarray) else image[0]).shape[:2]
    return width, height


def gray(image: np.ndarray) -> Planes:
    """An RGB array as 8-bit gray, by Pillow's (Rec. 601) weights."""
    return (np.asarray(Image.fromarray(np.ascontiguousarray(image)).convert("L")),)


def shrink(image: FramePixels, aliased: bool) -> FramePixels:
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


def encode(image: FramePixels, quality: int) -> bytes:
    """A baseline JPEG, 4:2:0; planes go in as they are, without a color conversion."""
    if isinstance(image, np.ndarray):
        return simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality, "RGB", "420")
    if len(image) == 1:
        return simplejpeg.encode_jpeg_yuv_planes(image[0], None, None, quality)
    y, u, v = image
    height, width = y.shape
    if height % 2 or width % 2:
        # 4:2:0 takes luma in pairs of rows and columns, and libjpeg-turbo reads the second of the last pair, too:
        # without this, whatever lies there in memory, so that the same crop gives other bytes each time.
        y = _evened(y)[:height, :width]
    return simplejpeg.encode_jpeg_yuv_planes(y, u, v, quality)


def _evened(plane: np.ndarray) -> np.ndarray:
    """The plane with its last row and column repeated where their number is odd (np.pad takes 0.1 ms for it)."""
    height, width = plane.shape
    even = np.empty((height + height % 2, width + width % 2), np.uint8)
    even[:height, :width] = plane
    even[height:, :width] = plane[-1:]
    even[:, width:] = even[:, width - 1 : width]
    return even
