"""The report as one self-contained HTML page."""

from pathlib import Path

import numpy as np

from shards.page.html import Markup, data_uri, joined, page, tag
from train.evaluate.charts import BLUE, RED, histogram, percent, reliability, signer_chart, whiskers
from train.evaluate.confusion import confusion_matrix, seriate
from train.evaluate.heatmap import RIGHT, WRONG, cell_size, draw_matrix
from train.evaluate.intervals import RESAMPLES
from train.evaluate.outcome import Outcome
from train.evaluate.report import Report, Worst
from train.evaluate.report_script import SCRIPT, STYLE

TITLES = {"top1": "Top-1 accuracy", "top5": "Top-5 accuracy", "class_mean": "Per-class mean of top-1"}
PAIRS_SHOWN = 25
CLASS_BINS = 20


def render(outcome: Outcome, report: Report, labels: Path, pictures: dict[str, bytes | None]) -> str:
    """The page.

    Args:
        outcome: samples and predictions.
        report: its figures.
        labels: the label file, to be named.
        pictures: JPEGs of the worst samples by id; {} without shards.
    """
    matrix = confusion_matrix(outcome.truth, outcome.predicted, len(outcome.classes))
    order = seriate(matrix)
    order = order[(matrix.sum(axis=0) + matrix.sum(axis=1))[order] > 0]
    body = joined(
        _head(outcome, report, labels),
        _scores(report),
        _signers(report),
        _confusions(matrix, order),
        _pairs(outcome, report),
        _classes(outcome, report, matrix),
        _calibration(report),
        _worst(outcome, report, pictures),
    )
    truth, predicted = np.nonzero(matrix)
    data = {
        "order": order.tolist(),
        "names": outcome.classes,
        "cells": np.stack([truth, predicted, matrix[truth, predicted]], axis=1).tolist(),
        "right": RIGHT,
        "wrong": WRONG,
        "start": report.pairs[0][:2] if report.pairs else [int(order[0])] * 2,
    }
    return page(f"{percent(report.scores['top1'].value, 2)} of {outcome.source}", body, STYLE, SCRIPT, data)


def _note(*children: str) -> Markup:
    return tag("p", *children, class_="note")


def _head(outcome: Outcome, report: Report, labels: Path) -> Markup:
    present = sum(group.samples > 0 for group in report.classes)
    people = f", {len(report.signers)} signers" if report.signers else ""
    parts = [
        tag("h1", "Evaluation"),
        tag("p", f"{len(outcome.ids)} samples, {present} classes{people}"),
        _note("Predictions ", tag("code", outcome.source), ", labels ", tag("code", str(labels))),
    ]
    if outcome.unpredicted:
        absent = f"{len(outcome.unpredicted)} labels have no prediction and are not counted, e.g. "
        parts.append(tag("p", absent, tag("code", outcome.unpredicted[0]), class_="warning"))
    return joined(*parts)


def _scores(report: Report) -> Markup:
    intervals = [
        interval
        for score in report.scores.values()
        for interval in (score.over_signers, score.over_samples)
        if interval
    ]
    low, high = min(interval.low for interval in intervals), max(interval.high for interval in intervals)
    margin = max(0.1 * (high - low), 0.002)
    cards = []
    for name, title in TITLES.items():
        if name in report.scores:
            score = report.scores[name]
            rows = [("signers", score.over_signers)] if score.over_signers else []
            rows.append(("samples", score.over_samples))
            picture = whiskers(rows, score.value, low - margin, high + margin)
            cards.append(tag("section", tag("div", title, class_="soft"), _big(score.value), picture))
    note = _note(
        f"Bars: 95 % bootstrap intervals ({RESAMPLES} resamples) over signers and over samples. Over samples: how well "
        "the accuracy for these signers is known. Over signers: what other signers may expect; with few signers it is "
        "rough, and rather too narrow."
    )
    return joined(tag("div", *cards, class_="cards"), tag("div", note, style="margin-top:10px"))


def _big(share: float) -> Markup:
    return tag("div", percent(share, 2), class_="big")


def _signers(report: Report) -> Markup:
    if not report.signers:
        note = "Not known: ids are not of the form signer<S>_sample<N>; --shards takes signers from the shards' index."
        return tag("section", tag("h2", "Signers"), _note(note))
    note = _note("Top-1 accuracy of each signer, with Wilson's 95 % interval; dashed: all samples.")
    chart = signer_chart(report.signers, report.scores["top1"].value)
    return tag("section", tag("h2", "Signers"), note, chart)


def _confusions(matrix: np.ndarray, order: np.ndarray) -> Markup:
    side = cell_size(len(order)) * len(order)
    png = data_uri(draw_matrix(matrix[np.ix_(order, order)]), "image/png")
    alt = "confusion matrix: a row per right class, a column per predicted class"
    picture = tag("img", id="matrix", src=png, width=side, height=side, alt=alt, tabindex=0)
    lens = tag("div", tag("p", id="said"), tag("canvas", id="lens"))
    note = _note(
        "A row per class, a column per answer; classes that are confused stand near each other. "
        "Point at the picture to magnify it, click to hold or let go, or use the arrow keys. "
        "The darker, the larger the share of the row's samples:",
        _key(BLUE, "right"),
        _key(RED, "wrong"),
    )
    both = tag("div", tag("div", picture, tag("div", id="mark"), class_="matrix"), lens, class_="side")
    return tag("section", tag("h2", "Confusion matrix"), note, both, id="confusions")


def _key(colour: str, text: str) -> Markup:
    return joined(tag("span", class_="key", style=f"background:{colour}"), text)


def _row(*cells: str, header: bool = False) -> Markup:
    return tag("tr", *(tag("th" if header else "td", cell) for cell in cells))


def _pairs(outcome: Outcome, report: Report) -> Markup:
    if not report.pairs:
        return tag("section", tag("h2", "Most confused pairs"), _note("None: every answer is right."))
    rows = [_row("Class", "taken for", "samples", "share of the class", "", header=True)]
    for truth, predicted, count in report.pairs[:PAIRS_SHOWN]:
        total = report.classes[truth].samples
        share = joined(_bar(count / total), percent(count / total, 0))
        link = tag("a", "in the matrix", href=f"#cell={truth},{predicted}")
        rows.append(_row(_named(outcome, truth), _named(outcome, predicted), f"{count} of {total}", share, link))
    note = _note(f"{len(report.pairs)} pairs of classes are confused at least once; the {len(rows) - 1} most frequent:")
    return tag("section", tag("h2", "Most confused pairs"), note, tag("div", tag("table", *rows), class_="scroll"))


def _named(outcome: Outcome, number: int) -> Markup:
    return joined(outcome.classes[number], " ", tag("span", str(number), class_="soft"))


def _bar(share: float) -> Markup:
    return tag("span", tag("i", style=f"width:{100 * share:.1f}%"), class_="bar")


def _classes(outcome: Outcome, report: Report, matrix: np.ndarray) -> Markup:
    wrong = matrix - np.diag(np.diag(matrix))
    numbers = [number for number, group in enumerate(report.classes) if group.samples]
    numbers.sort(key=lambda number: (report.classes[number].accuracy, number))
    rows = [_row("Class", "accuracy", "right", "95 % interval", "most often taken for", header=True)]
    for number in numbers:
        group, answer = report.classes[number], int(wrong[number].argmax())
        cell = joined(_bar(group.accuracy), percent(group.accuracy, 0))
        interval = f"{100 * group.interval.low:.0f} – {percent(group.interval.high, 0)}" if group.interval else ""
        other = joined(_named(outcome, answer), f" ×{wrong[number, answer]}") if wrong[number].any() else ""
        rows.append(_row(_named(outcome, number), cell, f"{group.hits} of {group.samples}", interval, other))
    accuracy = np.array([report.classes[number].accuracy for number in numbers])
    edges = np.linspace(0, 1, CLASS_BINS + 1)
    chart = histogram([("classes", BLUE, np.histogram(accuracy, edges)[0].tolist())], edges, "accuracy", "classes")
    table = tag("div", tag("table", *rows), class_="scroll", style="margin-top:12px")
    return tag("section", tag("h2", "Classes"), _note("The least accurate first."), chart, table)


def _calibration(report: Report) -> Markup:
    calibration = report.calibration
    if calibration is None:
        return tag("section", tag("h2", "Confidence"), _note("Needs logits: give --logits instead of --predictions."))
    stacks = [("right", BLUE, calibration.right), ("wrong", RED, calibration.wrong)]
    note = _note(
        f"Expected calibration error {percent(calibration.ece)}: how far confidence, the probability of the predicted "
        f"class, and accuracy lie apart on average ({len(calibration.right)} bins). Dots below the dashed line: too "
        "sure of itself. Right: the samples of each bin,",
        _key(BLUE, "right"),
        _key(RED, "wrong"),
    )
    charts = tag(
        "div",
        reliability(calibration),
        histogram(stacks, calibration.edges, "confidence", "samples"),
        class_="side",
    )
    return tag("section", tag("h2", "Confidence"), note, charts)


def _worst(outcome: Outcome, report: Report, pictures: dict[str, bytes | None]) -> Markup:
    known = report.calibration is not None
    order = "those with the highest loss" if known else "of the most confused pairs (losses need --logits)"
    hands = " Left hand above, right hand below; dark crops: the hand was not found there." if pictures else ""
    if not report.worst:
        return tag("section", tag("h2", "Worst samples"), _note("None: every answer is right."))
    figures = [_figure(outcome, worst, pictures) for worst in report.worst]
    title = tag("h2", "Worst samples")
    return tag("section", title, _note(f"Wrong answers, {order}.{hands}"), tag("div", *figures, class_="worst"))


def _figure(outcome: Outcome, worst: Worst, pictures: dict[str, bytes | None]) -> Markup:
    picture = pictures.get(worst.id)
    parts = [tag("img", src=data_uri(picture, "image/jpeg"), alt=f"hands of {worst.id}")] if picture else []
    words = [tag("b", outcome.classes[worst.truth]), " taken for ", tag("b", outcome.classes[worst.predicted])]
    if worst.loss is not None and worst.confidence is not None and worst.right is not None:
        confidence = f", {percent(worst.confidence)} sure; right class {percent(worst.right, 2)}, loss {worst.loss:.2f}"
        words.append(confidence)
    if pictures and picture is None:
        words.append(" (not in the shards)")
    return tag("figure", *parts, tag("figcaption", *words, " ", tag("div", worst.id, class_="soft")))
