"""The figures of a report, as drawings: the page shows them, and each is an SVG file of its own."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from shards.page.charts import IntervalRow, bar_chart, interval_chart, matrix_chart, matrix_overview, reliability_chart
from shards.page.drawing import Drawing
from shards.page.render import percent
from train.evaluate.metrics import Calibration
from train.evaluate.outcome import Outcome
from train.evaluate.report.confusion import seriate
from train.evaluate.report.report import Report, Score, confusions

TITLES = {
    "top1": "Top-1 accuracy",
    "class_mean": "Per-class mean (macro recall)",
    "top5": "Top-5 accuracy",
    "top10": "Top-10 accuracy",
}
CLASS_BINS = 20
# With so many classes, names and counts have room in the matrix itself.
MOST_NAMED = 20
_CHART = (440, 250)  # pixels of a bar chart


def figures(outcome: Outcome, report: Report) -> dict[str, Drawing]:
    """The figures that there is data for, by name: scores, signers, confusions, classes, calibration, confidence."""
    matrix, order = ordered_confusions(outcome)
    names = [outcome.classes[number] for number in order]
    found = {"scores": _scores_chart(report)}
    if report.signers:
        found["signers"] = _signer_chart(report)
    small = len(order) <= MOST_NAMED
    found["confusions"] = matrix_chart(matrix, names, order.tolist()) if small else matrix_overview(matrix, names)
    found["classes"] = _class_chart([group.accuracy for group in report.classes if group.samples])
    return found | (_confidence_charts(report.calibration) if report.calibration else {})


def ordered_confusions(outcome: Outcome) -> tuple[np.ndarray, np.ndarray]:
    """int (U, U) and int (U,): the confusion matrix of the U classes that have samples or answers, and their numbers,
    in an order in which confused ones stand near each other."""
    matrix = confusions(outcome)
    order = seriate(matrix)
    order = order[(matrix.sum(axis=0) + matrix.sum(axis=1))[order] > 0]
    return matrix[np.ix_(order, order)], order


def score_rows(score: Score) -> list[IntervalRow]:
    """The intervals of a score, over signers (where they are known) and over samples."""
    known = (("signers", score.over_signers), ("samples", score.over_samples))
    return [
        IntervalRow(over, score.value, found.low, found.high, f"{100 * found.low:.1f} – {percent(found.high)}")
        for over, found in known
        if found
    ]


def score_span(report: Report) -> tuple[float, float]:
    """The ends of an axis that all scores share."""
    rows = [row for score in report.scores.values() for row in score_rows(score)]
    low, high = min(row.low for row in rows), max(row.high for row in rows)
    margin = max(0.1 * (high - low), 0.002)
    return low - margin, high + margin


def _scores_chart(report: Report) -> Drawing:
    rows = []
    for name, title in TITLES.items():
        for row in score_rows(report.scores[name]) if name in report.scores else []:
            note = f"{percent(row.value, 2)} ({row.note})"
            rows.append(IntervalRow(f"{title}, over {row.name}", row.value, row.low, row.high, note))
    span, ticks = _axis(min(row.low for row in rows))
    return interval_chart("Scores with 95 % intervals", rows, span, 270, ticks, longest=50)


def _signer_chart(report: Report) -> Drawing:
    rows = []
    for group in report.signers:
        # A signer has samples, and so an interval.
        low, high = (group.interval.low, group.interval.high) if group.interval else (0.0, 1.0)
        note = f"{percent(group.accuracy)}, {group.hits} of {group.samples}"
        rows.append(IntervalRow(f"signer {group.name}", group.accuracy, low, high, note))
    span, ticks = _axis(min(row.low for row in rows))
    return interval_chart("Accuracy of each signer", rows, span, 270, ticks, report.scores["top1"].value)


def _axis(lowest: float) -> tuple[tuple[float, float], list[float]]:
    """The ends and the ticks of an axis of shares from `lowest` or a little below to 1."""
    # Of an interval that is a single point at 1, too, the axis has a length.
    lowest = min(lowest, 0.95)
    step = 0.05 if lowest >= 0.8 else 0.1 if lowest >= 0.5 else 0.2
    start = float(np.floor(lowest / step) * step)
    return (start, 1.0), np.arange(start, 1.001, step).tolist()


def _class_chart(accuracies: Sequence[float]) -> Drawing:
    edges = np.linspace(0, 1, CLASS_BINS + 1)
    counts = np.histogram(accuracies, edges)[0].tolist()
    return bar_chart("Classes by accuracy", _shares(edges), {"classes": counts}, _CHART)


def _confidence_charts(calibration: Calibration) -> dict[str, Drawing]:
    counts = [right + wrong for right, wrong in zip(calibration.right, calibration.wrong, strict=True)]
    points = zip(calibration.confidence, calibration.accuracy, counts, strict=True)
    bars = {"right": calibration.right, "wrong": calibration.wrong}
    labels = _shares(np.array(calibration.edges))
    return {
        "calibration": reliability_chart([point for point in points if point[2]]),
        "confidence": bar_chart("Samples by confidence", labels, bars, _CHART, tuple(bars)),
    }


def _shares(edges: np.ndarray) -> list[str]:
    """Labels of bins such as "95–100 %"."""
    whole = (100 * edges).round().astype(int).tolist()
    return [f"{low}–{high} %" for low, high in pairwise(whole)]
