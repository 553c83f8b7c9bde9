"""The report as one self-contained HTML page: what `templates/report.html` shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from shards.page.charts import IntervalRow, bar_chart, interval_chart, matrix_chart, reliability_chart
from shards.page.drawing import Drawing
from shards.page.render import data_uri, percent, render
from shards.page.strips import SampleStrips
from train.evaluate.intervals import RESAMPLES
from train.evaluate.metrics import Calibration
from train.evaluate.outcome import Outcome
from train.evaluate.report.confusion import RIGHT, WRONG, cell_size, draw_matrix, seriate
from train.evaluate.report.report import Group, Report, confusions

TITLES = {"top1": "Top-1 accuracy", "top5": "Top-5 accuracy", "class_mean": "Per-class mean of top-1"}
PAIRS_SHOWN = 25
CLASS_BINS = 20
# With so many classes, names and counts have room in the matrix itself; with more, it is a picture with a lens.
MOST_NAMED = 20
_CHART = (440, 250)  # pixels of a bar chart


@dataclass(frozen=True)
class ClassRow:
    """A class in the table of classes."""

    number: int
    group: Group
    other: int | None  # the class that it is most often taken for
    count: int  # how often


def report_page(outcome: Outcome, report: Report, labels: str, strips: Mapping[str, SampleStrips] | None) -> str:
    """The page.

    Args:
        outcome: samples and predictions.
        report: its figures.
        labels: the file of labels, or the shards, to be named.
        strips: the hands of the worst samples by id; None without shards.
    """
    matrix = confusions(outcome)
    order = seriate(matrix)
    order = order[(matrix.sum(axis=0) + matrix.sum(axis=1))[order] > 0]
    small = len(order) <= MOST_NAMED
    rows = _class_rows(report, matrix)
    return render(
        "train.evaluate.report",
        "report",
        None if small else _lens_data(outcome, report, matrix, order),
        outcome=outcome,
        report=report,
        labels=labels,
        resamples=RESAMPLES,
        scores=_scores(report),
        signer_chart=_signer_chart(report) if report.signers else None,
        matrix_chart=_matrix_chart(outcome, matrix, order) if small else None,
        matrix_picture=None if small else data_uri(draw_matrix(matrix[np.ix_(order, order)]), "image/png"),
        matrix_side=cell_size(len(order)) * len(order),
        pairs=report.pairs[:PAIRS_SHOWN],
        classes=rows,
        class_chart=_class_chart(rows),
        confidence_charts=_confidence_charts(report.calibration) if report.calibration else None,
        strips=strips,
    )


def _scores(report: Report) -> list[tuple[str, float, Drawing]]:
    """Title, value and chart of every score; the charts have one axis."""
    known = {name: [score.over_signers, score.over_samples] for name, score in report.scores.items()}
    intervals = [interval for pair in known.values() for interval in pair if interval]
    low, high = min(interval.low for interval in intervals), max(interval.high for interval in intervals)
    margin = max(0.1 * (high - low), 0.002)
    cards = []
    for name, title in TITLES.items():
        if name in report.scores:
            value = report.scores[name].value
            rows = []
            for over, interval in zip(("signers", "samples"), known[name], strict=True):
                if interval:
                    note = f"{100 * interval.low:.1f} – {percent(interval.high)}"
                    rows.append(IntervalRow(over, value, interval.low, interval.high, note))
            chart = interval_chart(f"{title}: 95 % intervals", rows, (low - margin, high + margin), 140)
            cards.append((title, value, chart))
    return cards


def _signer_chart(report: Report) -> Drawing:
    rows = []
    for group in report.signers:
        # A signer has samples, and so an interval.
        low, high = (group.interval.low, group.interval.high) if group.interval else (0.0, 1.0)
        note = f"{percent(group.accuracy)}, {group.hits} of {group.samples}"
        rows.append(IntervalRow(f"signer {group.name}", group.accuracy, low, high, note))
    lowest = min(row.low for row in rows)
    step = 0.05 if lowest >= 0.8 else 0.1 if lowest >= 0.5 else 0.2
    start = float(np.floor(lowest / step) * step)
    ticks = np.arange(start, 1.001, step).tolist()
    return interval_chart("Accuracy of each signer", rows, (start, 1.0), 270, ticks, report.scores["top1"].value)


def _matrix_chart(outcome: Outcome, matrix: np.ndarray, order: np.ndarray) -> Drawing:
    names = [outcome.classes[number] for number in order]
    return matrix_chart(matrix[np.ix_(order, order)], names, order.tolist())


def _lens_data(outcome: Outcome, report: Report, matrix: np.ndarray, order: np.ndarray) -> dict[str, object]:
    """What report.js magnifies."""
    truth, predicted = np.nonzero(matrix)
    first = report.pairs[0] if report.pairs else None
    return {
        "order": order.tolist(),
        "names": outcome.classes,
        "cells": np.stack([truth, predicted, matrix[truth, predicted]], axis=1).tolist(),
        "right": RIGHT,
        "wrong": WRONG,
        "start": [first.truth, first.predicted] if first else [int(order[0])] * 2,
    }


def _class_rows(report: Report, matrix: np.ndarray) -> list[ClassRow]:
    """The classes that have samples, the least accurate first."""
    wrong = matrix - np.diag(np.diag(matrix))
    rows = []
    for number, group in enumerate(report.classes):
        if group.samples:
            other = int(wrong[number].argmax())
            count = int(wrong[number, other])
            rows.append(ClassRow(number, group, other if count else None, count))
    return sorted(rows, key=lambda row: (row.group.accuracy, row.number))


def _class_chart(rows: list[ClassRow]) -> Drawing:
    edges = np.linspace(0, 1, CLASS_BINS + 1)
    counts = np.histogram([row.group.accuracy for row in rows], edges)[0].tolist()
    return bar_chart("Classes by accuracy", _shares(edges), {"classes": counts}, _CHART)


def _confidence_charts(calibration: Calibration) -> list[Drawing]:
    counts = [right + wrong for right, wrong in zip(calibration.right, calibration.wrong, strict=True)]
    points = zip(calibration.confidence, calibration.accuracy, counts, strict=True)
    bars = {"right": calibration.right, "wrong": calibration.wrong}
    labels = _shares(np.array(calibration.edges))
    return [
        reliability_chart([point for point in points if point[2]]),
        bar_chart("Samples by confidence", labels, bars, _CHART, tuple(bars)),
    ]


def _shares(edges: np.ndarray) -> list[str]:
    """Labels of bins such as "95–100 %"."""
    whole = (100 * edges).round().astype(int).tolist()
    return [f"{low}–{high} %" for low, high in pairwise(whole)]
