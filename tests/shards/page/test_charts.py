import re
from html import unescape
from itertools import pairwise

import numpy as np
import pytest

from shards.page.charts import COLORS, bar_chart, binned, legend


def rects(svg: str) -> list[tuple[float, float, str]]:
    """(bottom, height, tip) of every bar."""
    found = re.findall(r'y="([\d.]+)" width="[\d.]+" height="([\d.]+)" fill="#\w+"><title>(.*?)</title>', svg)
    return [(float(y) + float(height), float(height), unescape(tip)) for y, height, tip in found]


def test_bars_are_stacked_and_in_proportion() -> None:
    bars = rects(bar_chart("t", ["a", "b"], {"train": [4, 2], "val": [4, 0]}))
    assert [tip for _, _, tip in bars] == ["a: 4 in train", "a: 4 in val", "b: 2 in train"]
    (bottom, height, _), (on_top, second, _), (other, third, _) = bars
    assert bottom == other
    assert height == second == pytest.approx(2 * third, abs=0.1)
    assert on_top == pytest.approx(bottom - height, abs=0.15)


def test_texts_are_escaped() -> None:
    svg = bar_chart("<t>", ['<b>"'], {"<s>": [1]}) + legend(["<s>"])
    assert "<t>" not in svg
    assert "<b>" not in svg
    assert "<s>" not in svg
    assert rects(svg)[0][2] == '<b>": 1 in <s>'


@pytest.mark.parametrize("count", [1, 5, 40, 226])
def test_labels_do_not_run_into_one_another(count: int) -> None:
    svg = bar_chart("t", [f"sign number {i}" for i in range(count)], {"train": [1] * count})
    places = [float(x) for x in re.findall(r'<text x="([\d.]+)" y="[\d.]+" text-anchor="middle"', svg)]
    assert places
    assert all(b - a >= 11 * 6 for a, b in pairwise(places))
    assert len(rects(svg)) == count


def test_nothing_to_show() -> None:
    assert rects(bar_chart("t", ["a"], {"train": [0]})) == []
    assert rects(bar_chart("t", [], {})) == []


def test_legend_has_a_colour_per_series() -> None:
    assert [color in legend(["a", "b"]) for color in COLORS[:3]] == [True, True, False]


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
