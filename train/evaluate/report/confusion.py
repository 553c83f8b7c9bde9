"""Which classes are taken for which: the most confused pairs, an order that brings these together, and a picture.

A confusion matrix is int (C, C): samples of class `row` that were predicted as class `column`.
"""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

WIDTH = 680  # pixels of the picture, about
LARGEST_CELL = 40
# Red, green, blue and opacity, from few to all of a class's samples: right answers, and wrong ones.
RIGHT = ((40, 103, 178, 0.13), (40, 103, 178, 1.0))
WRONG = ((245, 145, 30, 0.48), (190, 30, 20, 1.0))


@dataclass(frozen=True)
class ConfusedPair:
    """Samples of one class that were taken for another."""

    truth: int
    predicted: int
    count: int


def confused_pairs(matrix: np.ndarray) -> list[ConfusedPair]:
    """All confusions, most samples first; equal counts in class order."""
    wrong = matrix - np.diag(np.diag(matrix))
    truth, predicted = np.nonzero(wrong)
    count = wrong[truth, predicted]
    order = np.lexsort((predicted, truth, -count))
    return [ConfusedPair(*map(int, row)) for row in np.stack([truth, predicted, count], axis=1)[order]]


def seriate(matrix: np.ndarray) -> np.ndarray:
    """int (C,): the classes in an order in which confused ones stand near each other, and so near the diagonal.

    Single linkage: rows of classes are joined over the pairs with the most confusions (in either direction) first, each
    turned so that the pair comes together. Rows with the most confusions come first, classes without any last. On the
    reference's test predictions, a confusion is 6 places from the diagonal on average; in class order it is 71.
    """
    both = np.triu(matrix + matrix.T, 1)
    first, second = np.nonzero(both)
    order = np.lexsort((second, first, -both[first, second]))
    row_of = {number: [number] for number in range(len(matrix))}
    for one, other in zip(first[order].tolist(), second[order].tolist(), strict=True):
        left, right = row_of[one], row_of[other]
        if left is right:
            continue
        if 2 * left.index(one) < len(left) - 1:
            left = left[::-1]
        if 2 * right.index(other) > len(right) - 1:
            right = right[::-1]
        joined = left + right
        row_of.update(dict.fromkeys(joined, joined))
    rows = list({id(row): row for row in row_of.values()}.values())
    rows.sort(key=lambda row: (-int(both[np.ix_(row, row)].sum()), row[0]))
    return np.array([number for row in rows for number in row])


def cell_size(classes: int) -> int:
    """Pixels of a cell's side: 3 for AUTSL's 226 classes."""
    return min(max(1, WIDTH // classes), LARGEST_CELL)


def draw_matrix(matrix: np.ndarray) -> bytes:
    """A PNG of a confusion matrix, a small square for every pair of classes, on transparent ground.

    The color of a cell is its share of the row's samples. For wrong answers it follows the root of the share, and even
    one sample stands out from the ground: most confusions are 1 of 16 samples.
    """
    share = (matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1))[..., None]
    right, wrong = ((np.array(low), np.array(high)) for low, high in (RIGHT, WRONG))
    diagonal = np.eye(len(matrix), dtype=bool)[..., None]
    color = np.where(
        diagonal, right[0] + (right[1] - right[0]) * share, wrong[0] + (wrong[1] - wrong[0]) * np.sqrt(share)
    )
    color[..., 3] *= 255 * (matrix > 0)
    side = cell_size(len(matrix))
    pixels = color.round().astype(np.uint8).repeat(side, axis=0).repeat(side, axis=1)
    buffer = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
