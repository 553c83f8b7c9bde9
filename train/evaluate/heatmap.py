"""The confusion matrix as a picture: one small square per pair of classes, errors in warm colours."""

import io

import numpy as np
from PIL import Image

WIDTH = 680  # pixels, about
LARGEST_CELL = 40
GROUND = (255, 255, 255)
# From few to all of a class's samples: right answers, and wrong ones.
RIGHT = ((226, 234, 244), (40, 103, 178))
WRONG = ((250, 200, 140), (190, 30, 20))


def cell_size(classes: int) -> int:
    """Pixels of a cell's side: 3 for AUTSL's 226 classes."""
    return min(max(1, WIDTH // classes), LARGEST_CELL)


def draw_matrix(matrix: np.ndarray) -> bytes:
    """A PNG of an int (C, C) matrix, rows are the right classes.

    The colour of a cell is its share of the row's samples. For wrong answers it follows the root of the share, and even
    one sample stands out from the white ground: most confusions are 1 of 16 samples.
    """
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    diagonal = np.eye(len(matrix), dtype=bool)
    colour = np.where(diagonal[..., None], _between(RIGHT, share), _between(WRONG, np.sqrt(share)))
    colour[matrix == 0] = GROUND
    side = cell_size(len(matrix))
    pixels = colour.round().astype(np.uint8).repeat(side, axis=0).repeat(side, axis=1)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _between(ends: tuple[tuple[int, int, int], tuple[int, int, int]], share: np.ndarray) -> np.ndarray:
    low, high = np.array(ends, float)
    return low + (high - low) * share[..., None]
