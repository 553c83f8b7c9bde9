"""The files of a report: `index.html`, `report.json`, CSV tables and figures, in one folder."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from shards.csv_files import write_rows
from shards.errors import InputError
from shards.files import write_whole
from shards.format.shardset import ShardSet
from shards.names import signer_of
from shards.page.render import svg_file
from shards.page.strips import SampleStrips, StripReader
from shards.progress import progress
from train.evaluate.comparison import Paired
from train.evaluate.metrics import cross_entropy
from train.evaluate.options import FIGURE_FILES
from train.evaluate.outcome import Outcome
from train.evaluate.report.figures import figures
from train.evaluate.report.report import Group, Report, Worst, make_report
from train.evaluate.report.report_page import report_page

# Without names of classes, a number mistyped in a label file makes a million of them; the matrix has their square.
MOST_CLASSES = 5000
COLUMNS = 8  # frames of a sample


def write_report(folder: Path, outcome: Outcome, shards: ShardSet | None, against: Paired | None) -> None:
    """Write the report's files into `folder`, `index.html` last.

    Args:
        folder: is made where it does not exist.
        outcome: what to report on.
        shards: shards with the samples, for pictures of the worst and for signers; without, signers are those in the
            ids (`signer<S>_sample<N>`).
        against: the comparison with another model.

    Raises:
        InputError: a sample of the shards that cannot be read, or too many classes.
        OSError: a folder that cannot be made or written to.
    """
    if len(outcome.classes) > MOST_CLASSES:
        room = f"a report has room for {MOST_CLASSES} classes"
        raise InputError(f"{outcome.labels}: {room}, not for {len(outcome.classes)}")
    known = dict(zip(shards.ids.to_pylist(), shards.signers.to_pylist(), strict=True)) if shards else {}
    signers = [known.get(sample_id) or signer_of(sample_id) for sample_id in outcome.ids]
    report = make_report(outcome, signers, against)
    strips = _strips(shards, report.worst) if shards else None
    folder.mkdir(parents=True, exist_ok=True)
    _write_tables(folder, outcome, report, signers)
    write_whole(folder / "report.json", _json(outcome, report))
    charts = figures(outcome, report)
    for name in FIGURE_FILES:
        if drawing := charts.get(name.removesuffix(".svg")):
            write_whole(folder / name, svg_file(drawing))
        else:
            (folder / name).unlink(missing_ok=True)  # of an earlier report, which had logits
    write_whole(folder / "index.html", report_page(outcome, report, strips, charts).encode("utf-8", "replace"))


def _strips(shards: ShardSet, worst: Sequence[Worst]) -> dict[str, SampleStrips]:
    """The hands of the samples, by id, of those that are in the shards."""
    place = {sample_id: number for number, sample_id in enumerate(shards.ids.to_pylist())}
    reader = StripReader(shards, COLUMNS, hands_only=True)
    shown = [sample.id for sample in worst if sample.id in place]
    ids = progress(shown, len(shown), "pictures", "sample", may_be_short=True)
    strips = {sample_id: reader.read(place[sample_id]) for sample_id in ids}
    reader.close()
    return strips


def _json(outcome: Outcome, report: Report) -> bytes:
    value = {
        "predictions": outcome.source,
        "labels": outcome.labels,
        "samples": len(outcome.ids),
        "labels_without_prediction": len(outcome.unpredicted),
        "class_names": outcome.classes,
        "models": [asdict(model) for model in outcome.models],
        **asdict(report),
    }
    # Names of files may have bytes that are not UTF-8.
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "replace")


def _write_tables(folder: Path, outcome: Outcome, report: Report, signers: list[str]) -> None:
    names = outcome.classes
    loss = [None] * len(signers) if outcome.logits is None else cross_entropy(outcome.logits, outcome.truth).tolist()
    columns = (outcome.ids, signers, outcome.truth.tolist(), outcome.predicted.tolist(), loss)
    samples = [("id", "signer", "class", "predicted", "loss"), *zip(*columns, strict=True)]
    write_rows(folder / "samples.csv", samples)
    header = ("samples", "hits", "accuracy", "low", "high")
    signer_rows = [(group.name, *_figures(group)) for group in report.signers]
    write_rows(folder / "signers.csv", [("signer", *header), *signer_rows])
    class_rows = [
        (number, group.name, *_figures(group), group.predicted, group.precision, group.f1)
        for number, group in enumerate(report.classes)
    ]
    write_rows(folder / "classes.csv", [("class", "name", *header, "predicted", "precision", "f1"), *class_rows])
    pairs = [(one.truth, names[one.truth], one.predicted, names[one.predicted], one.count) for one in report.pairs]
    write_rows(folder / "confusions.csv", [("class", "name", "predicted", "predicted_name", "samples"), *pairs])


def _figures(group: Group) -> tuple[object, ...]:
    if group.interval is None:
        return group.samples, group.hits, None, None, None
    return group.samples, group.hits, group.accuracy, group.interval.low, group.interval.high
