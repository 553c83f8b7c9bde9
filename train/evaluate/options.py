"""From the options of `evaluate` to an outcome, what is printed, and the report."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from shards.errors import InputError
from shards.files import is_among
from train.evaluate.fusion import choose_weights, fuse, parse_weights
from train.evaluate.labels import read_labels
from train.evaluate.logits import Logits, read_together
from train.evaluate.outcome import Outcome, evaluate_logits, evaluate_predictions, expected_classes

# Of `report_files`, which is imported for a report only.
REPORT_FILES = ("index.html", "report.json", "samples.csv", "signers.csv", "classes.csv", "confusions.csv")


def evaluate_command(options: dict[str, Any]) -> None:
    """Do what `evaluate` was asked for.

    Raises:
        InputError: options that do not go together, or a wrong input file.
    """
    predictions, logits = options["predictions"], options["logits"]
    labels, classes, report = options["labels"], options["classes"], options["report"]
    if (predictions is None) == (not logits):
        raise InputError("give either --predictions or --logits")
    if report:
        _check_report(report, [path for path in (predictions, labels, classes, *logits) if path])
    if options["shards"] and not report:
        raise InputError("--shards is for the pictures of the report; give --report DIR, too")
    if predictions is not None:
        if options["weights"] or options["val_logits"] or options["val_labels"]:
            raise InputError("--weights, --val-logits and --val-labels are for fusing --logits; give those")
        outcome = evaluate_predictions(predictions, labels, classes)
    else:
        fused = _fused(read_together(logits), options["weights"], options["val_logits"], options["val_labels"])
        outcome = evaluate_logits(fused, labels, classes)
    _print(outcome, labels)
    if report:
        # Only the report needs Pillow and the JPEG decoder.
        from train.evaluate.report_files import write_report

        write_report(report, outcome, labels, options["shards"])
        click.echo(f"{report / 'index.html'}: report")


def _check_report(folder: Path, read: list[Path]) -> None:
    for path in read:
        if is_among(path, [folder / name for name in REPORT_FILES]):
            raise InputError(f"{path}: the report would be written over it; give --report another folder")


def _fused(parts: list[Logits], weights: str | None, val_logits: Sequence[Path], val_labels: Path | None) -> Logits:
    """One Logits of several models' by the weights given, chosen or, without either, equal."""
    if bool(val_logits) != bool(val_labels):
        raise InputError("--val-logits and --val-labels go together")
    if weights and val_logits:
        raise InputError("give --weights, or --val-logits to choose them on, not both")
    if len(parts) == 1:
        if weights or val_logits:
            raise InputError("weights are for fusing several models; give several files to --logits")
        return parts[0]
    if val_logits and val_labels:
        chosen = _chosen(parts, val_logits, val_labels)
    elif weights:
        chosen = parse_weights(weights, len(parts))
    else:
        chosen = np.full(len(parts), 1 / len(parts))
    click.echo("weights " + ",".join(f"{weight:.4f}" for weight in chosen))
    return fuse(parts, chosen)


def _chosen(parts: list[Logits], val_logits: Sequence[Path], val_labels: Path) -> np.ndarray:
    """Weights chosen on validation samples, none of which is evaluated."""
    if len(val_logits) != len(parts):
        raise InputError(f"--val-logits: {len(val_logits)} files for {len(parts)} of --logits; give one per model")
    validation = read_together(val_logits)
    both = set(validation[0].ids) & set(parts[0].ids)
    if both:
        raise InputError(
            f"{val_logits[0]}: {len(both)} of its samples are evaluated, too, e.g. {min(both)}; "
            f"choose weights on other samples"
        )
    if validation[0].classes != parts[0].classes:
        raise InputError(f"{val_logits[0]}: has other classes than {parts[0].source}")
    truth = expected_classes(str(val_logits[0]), validation[0].ids, val_labels, read_labels(val_labels))
    if truth.max() >= len(validation[0].classes):
        raise InputError(f"{val_labels}: class {truth.max()} occurs, but {val_logits[0]} has fewer classes")
    return choose_weights(validation, truth)


def _print(outcome: Outcome, labels: Path) -> None:
    hits, scores = outcome.hits(), outcome.scores()
    click.echo(f"accuracy {scores['top1']:.4f} ({hits['top1'].sum()} of {len(outcome.ids)})")
    click.echo(f"per-class mean {scores['class_mean']:.4f}")
    if "top5" in hits:
        click.echo(f"top-5 {scores['top5']:.4f} ({hits['top5'].sum()} of {len(outcome.ids)})")
    if outcome.unpredicted:
        click.echo(
            f"warning: {labels}: {len(outcome.unpredicted)} labels have no prediction and are not counted, "
            f"e.g. {outcome.unpredicted[0]}",
            err=True,
        )
