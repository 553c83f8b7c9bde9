import io

import numpy as np
from PIL import Image

from train.evaluate.report.confusion import ConfusedPair, cell_size, confused_pairs, draw_matrix, seriate


def spread_of(matrix: np.ndarray, order: np.ndarray) -> float:
    """Mean distance of confusions from the diagonal."""
    rows, columns = np.nonzero(np.triu((matrix + matrix.T)[np.ix_(order, order)], 1))
    return float(np.abs(rows - columns).mean())


def test_pairs_come_by_count_then_class():
    matrix = np.array([[9, 1, 3], [0, 9, 1], [3, 0, 9]])
    assert confused_pairs(matrix) == [
        ConfusedPair(0, 2, 3),
        ConfusedPair(2, 0, 3),
        ConfusedPair(0, 1, 1),
        ConfusedPair(1, 2, 1),
    ]
    assert confused_pairs(np.diag([4, 5])) == []


def test_seriate_brings_confused_classes_together():
    # Groups of four classes that are taken for each other, shuffled over 80.
    random = np.random.default_rng(3)
    places = random.permutation(80)
    matrix = np.diag(np.full(80, 10))
    for group in range(20):
        for one in range(4):
            for other in range(one + 1, 4):
                matrix[places[4 * group + one], places[4 * group + other]] = random.integers(1, 4)
    order = seriate(matrix)
    assert sorted(order.tolist()) == list(range(80))
    assert spread_of(matrix, order) < 2 < 20 < spread_of(matrix, np.arange(80))


def test_seriate_puts_the_most_confused_first_and_perfect_classes_last():
    matrix = np.diag(np.full(6, 5))
    matrix[4, 1], matrix[3, 5] = 1, 4
    assert seriate(matrix).tolist() == [3, 5, 1, 4, 0, 2]


def test_the_picture_shows_every_cell():
    matrix = np.array([[4, 0, 1], [0, 0, 0], [0, 2, 2]])
    side = cell_size(3)
    drawn = Image.open(io.BytesIO(draw_matrix(matrix)))
    ground = Image.new("RGBA", drawn.size, "white")
    pixels = np.asarray(Image.alpha_composite(ground, drawn).convert("RGB")).astype(int)
    assert pixels.shape == (3 * side, 3 * side, 3)
    cells = pixels[side // 2 :: side, side // 2 :: side]
    for row in range(3):
        for column in range(3):
            red, _, blue = cells[row, column]
            kind = "blank" if red == blue else "right" if blue > red else "wrong"
            assert kind == ("blank" if not matrix[row, column] else "right" if row == column else "wrong")
    # The larger share is darker.
    assert cells[2, 1].sum() < cells[0, 2].sum()
    assert cells[0, 0].sum() < cells[2, 2].sum()
