"""The report as one self-contained HTML page: what `templates/report.html` shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shards.page.charts import interval_chart
from shards.page.drawing import Drawing
from shards.page.render import data_uri, render
from shards.page.strips import SampleStrips
from train.evaluate.intervals import RESAMPLES
from train.evaluate.logits import ModelRecord
from train.evaluate.outcome import Outcome
from train.evaluate.report.confusion import RIGHT, WRONG, cell_size, draw_matrix
from train.evaluate.report.figures import MOST_NAMED, TITLES, ordered_confusions, score_rows, score_span
from train.evaluate.report.report import ClassGroup, Report, confusions

PAIRS_SHOWN = 25


@dataclass(frozen=True)
class ClassRow:
    """A class in the table of classes."""

    number: int
    group: ClassGroup
    other: int | None  # the class that it is most often taken for
    count: int  # how often


def report_page(
    outcome: Outcome,
    report: Report,
    strips: Mapping[str, SampleStrips] | None,
    charts: Mapping[str, Drawing],
) -> str:
    """The page.

    Args:
        outcome: samples and predictions.
        report: its figures.
        strips: the hands of the worst samples by id; None without shards.
        charts: of `figures`.
    """
    matrix, order = ordered_confusions(outcome)
    small = len(order) <= MOST_NAMED
    return render(
        "train.evaluate.report",
        "report",
        None if small else _lens_data(outcome, report, order),
        outcome=outcome,
        report=report,
        resamples=RESAMPLES,
        scores=_scores(report),
        charts=charts,
        matrix_picture=None if small else data_uri(draw_matrix(matrix), "image/png"),
        matrix_side=cell_size(len(order)) * len(order),
        pairs=report.pairs[:PAIRS_SHOWN],
        classes=_class_rows(report, confusions(outcome)),
        settings=_settings(outcome.models),
        strips=strips,
    )


def _scores(report: Report) -> list[tuple[str, float, Drawing]]:
    """Title, value and chart of every score; the charts have one axis."""
    span = score_span(report)
    return [
        (title, score.value, interval_chart(f"{title}: 95 % intervals", score_rows(score), span, 140))
        for name, title in TITLES.items()
        if (score := report.scores.get(name))
    ]


def _lens_data(outcome: Outcome, report: Report, order: np.ndarray) -> dict[str, object]:
    """What report.js magnifies."""
    matrix = confusions(outcome)
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


def _settings(models: Sequence[ModelRecord]) -> list[tuple[str, list[str]]]:
    """The name of every setting, and what each model has; "" for one that does not say it."""
    names = dict.fromkeys(name for model in models for name in model.settings)
    return [(name, [model.settings.get(name, "") for model in models]) for name in names]
