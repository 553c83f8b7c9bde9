from html import unescape
from itertools import pairwise

import numpy as np
import pytest

from shards.page.charts import (
    SERIES,
    IntervalRow,
    bar_chart,
    binned,
    interval_chart,
    matrix_chart,
    matrix_overview,
    reliability_chart,
)
from shards.page.drawing import Drawing, Mark


def marks(drawing: Drawing, name: str) -> list[Mark]:
    return [mark for mark in drawing.marks if mark.name == name]


def bars(drawing: Drawing) -> list[tuple[float, float, str]]:
    """(bottom, height, tip) of every bar."""
    found = [(mark.attributes["y"], mark.attributes["height"], mark.tip) for mark in marks(drawing, "rect")]
    return [(y + height, height, tip) for y, height, tip in found]


def test_bars_are_stacked_and_in_proportion() -> None:
    found = bars(bar_chart("t", ["a", "b"], {"train": [4, 2], "val": [4, 0]}))
    assert [tip for _, _, tip in found] == ["a: 4 in train", "a: 4 in val", "b: 2 in train"]
    (bottom, height, _), (on_top, second, _), (other, third, _) = found
    assert bottom == other
    assert height == second == pytest.approx(2 * third, abs=0.1)
    assert on_top == pytest.approx(bottom - height, abs=0.15)


def test_every_series_has_a_style() -> None:
    drawing = bar_chart("t", ["a"], {str(number): [1] for number in range(7)})
    assert [mark.attributes["class"] for mark in marks(drawing, "rect")] == [*SERIES, *SERIES[:2]]
    drawing = bar_chart("t", ["a"], {"right": [1], "wrong": [1]}, styles=("right", "wrong"))
    assert [mark.attributes["class"] for mark in marks(drawing, "rect")] == ["right", "wrong"]


@pytest.mark.parametrize("count", [1, 5, 40, 226])
def test_labels_do_not_run_into_one_another(count: int) -> None:
    drawing = bar_chart("t", [f"sign number {i}" for i in range(count)], {"train": [1] * count})
    places = [mark.attributes["x"] for mark in marks(drawing, "text") if mark.attributes["text-anchor"] == "middle"]
    assert places
    assert all(b - a >= 11 * 6 for a, b in pairwise(places))
    assert len(bars(drawing)) == count


def test_nothing_to_show() -> None:
    assert bars(bar_chart("t", ["a"], {"train": [0]})) == []
    assert bars(bar_chart("t", [], {})) == []


@pytest.mark.parametrize(("low", "high"), [(5, 5), (20, 25), (1, 30), (1, 31), (40, 400)])
def test_bins_hold_every_value_once(low: int, high: int) -> None:
    values = np.arange(low, high + 1)
    labels, bins = binned(values)
    assert len(labels) <= 30
    assert bins.min() == 0
    assert bins.max() == len(labels) - 1
    for value, number in zip(values.tolist(), bins.tolist(), strict=True):
        first, _, last = labels[number].partition("–")
        assert int(first) <= value <= int(last or first)


def test_an_interval_lies_around_its_value_on_the_axis() -> None:
    rows = [IntervalRow("one", 0.75, 0.5, 1.0, "note"), IntervalRow("other", 0.5, 0.5, 0.5, "")]
    drawing = interval_chart("t", rows, (0.5, 1.0), 200, ticks=(0.5, 1.0), overall=0.75)
    axes = [mark.attributes for mark in marks(drawing, "line") if mark.attributes["class"] == "axis"]
    left, right = min(axis["x1"] for axis in axes), max(axis["x2"] for axis in axes)
    assert right - left == 200
    intervals = [mark.attributes for mark in marks(drawing, "line") if mark.attributes["class"] == "interval"]
    assert [(found["x1"], found["x2"]) for found in intervals] == [(left, right), (left, left)]
    assert [mark.attributes["cx"] for mark in marks(drawing, "circle")] == [left + 100, left]
    (overall,) = (mark.attributes for mark in marks(drawing, "line") if mark.attributes["class"] == "reference")
    assert overall["x1"] == overall["x2"] == left + 100
    assert drawing.view[2] > right


def test_honest_confidence_lies_on_the_dashed_line() -> None:
    drawing = reliability_chart([(0.25, 0.25, 10), (0.75, 0.75, 40)])
    (line,) = (mark.attributes for mark in marks(drawing, "line") if mark.attributes["class"] == "reference")
    for share, dot in zip((0.25, 0.75), marks(drawing, "circle"), strict=True):
        assert dot.attributes["cx"] == pytest.approx(line["x1"] + share * (line["x2"] - line["x1"]), abs=0.1)
        assert dot.attributes["cy"] == pytest.approx(line["y1"] + share * (line["y2"] - line["y1"]), abs=0.1)
    assert marks(drawing, "circle")[1].attributes["r"] > marks(drawing, "circle")[0].attributes["r"]
    assert marks(reliability_chart([]), "circle") == []


def test_a_small_matrix_has_names_and_counts() -> None:
    matrix = np.array([[4, 0, 1], [0, 0, 0], [0, 2, 2]])
    drawing = matrix_chart(matrix, ["a", "<b>", "c"], [7, 3, 5])
    cells = {mark.attributes["id"]: mark for mark in marks(drawing, "rect")}
    assert len(cells) == 9
    found = {place: (mark.attributes["class"], mark.tip) for place, mark in cells.items()}
    assert found["cell=7,7"] == ("cell-right", "a → a: 4 of 5")
    assert found["cell=5,3"] == ("cell-wrong", "c → <b>: 2 of 4")
    assert found["cell=3,3"] == ("empty", "<b> → <b>: 0 of 0")
    # A larger share is darker.
    assert cells["cell=7,7"].attributes["fill-opacity"] > cells["cell=5,5"].attributes["fill-opacity"]
    assert cells["cell=5,3"].attributes["fill-opacity"] > cells["cell=7,5"].attributes["fill-opacity"]
    words = [unescape(mark.text) for mark in marks(drawing, "text")]
    assert sorted(word for word in words if word.isdigit()) == ["1", "2", "2", "4"]
    assert [words.count(name) for name in ("a", "<b>", "c")] == [2, 2, 2]
    turned = [str(mark.attributes["transform"]) for mark in drawing.marks if "transform" in mark.attributes]
    assert len(turned) == 3
    assert all(transform.endswith(" rotate(-90)") for transform in turned)


def test_a_large_matrix_has_a_square_for_every_pair_with_samples() -> None:
    matrix = np.diag(np.full(100, 4))
    matrix[3, 5] = 1
    drawing = matrix_overview(matrix, [f"sign {n}" for n in range(100)])
    cells = [mark for mark in marks(drawing, "rect") if mark.attributes["class"] != "frame"]
    assert len(cells) == 101
    (wrong,) = (mark for mark in cells if mark.attributes["class"] == "cell-wrong")
    assert wrong.tip == "sign 3 → sign 5: 1 of 5"
    (frame,) = (mark.attributes for mark in marks(drawing, "rect") if mark.attributes["class"] == "frame")
    places = [float(wrong.attributes[axis]) - frame[axis] for axis in "xy"]
    assert places == pytest.approx([5 / 100 * frame["width"], 3 / 100 * frame["height"]], abs=0.01)
    assert {mark.text for mark in marks(drawing, "text")} == {"class", "predicted"}
