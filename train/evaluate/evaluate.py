"""What `evaluate` does: from its options to an outcome, what is printed, and the report."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from shards.errors import InputError
from shards.files import is_among
from shards.remote.cache import CacheSettings
from train.evaluate.fusion import choose_weights, fuse, parse_weights
from train.evaluate.logits import Logits, read_together
from train.evaluate.outcome import Outcome, evaluate_logits, evaluate_predictions, expected_classes, read_classes_of

# Of `report_files`, which is imported for a report only.
REPORT_FILES = ("index.html", "report.json", "samples.csv", "signers.csv", "classes.csv", "confusions.csv")


@dataclass(frozen=True)
class EvaluateOptions:
    """The options of `evaluate`; `evaluate --help` says what they are."""

    predictions: Path | None
    logits: tuple[Path, ...]
    labels: Path
    weights: str | None
    val_logits: tuple[Path, ...]
    val_labels: Path | None
    classes: Path | None
    report: Path | None
    shards: str | None
    cache: CacheSettings


def evaluate(options: EvaluateOptions) -> None:
    """Print the scores, and write the report where one is asked for.

    Raises:
        InputError: options that do not go together, or a wrong input file.
    """
    _check(options)
    if options.predictions:
        outcome = evaluate_predictions(options.predictions, options.labels, options.classes)
    else:
        outcome = evaluate_logits(_fused(options), options.labels, options.classes)
    _print(outcome, options.labels)
    if options.report:
        # scikit-learn, scipy.stats, Jinja2 and the JPEG decoder take 1.5 s to import, and only the report needs them.
        from shards.remote.localize import open_pattern
        from train.evaluate.report_files import write_report

        shards = open_pattern(options.shards, options.cache) if options.shards else None
        write_report(options.report, outcome, options.labels, shards)
        click.echo(f"{options.report / 'index.html'}: report")


def _check(options: EvaluateOptions) -> None:
    """InputError for options that do not go together."""
    if (options.predictions is None) == (not options.logits):
        raise InputError("give either --predictions or --logits")
    if options.predictions and (options.weights or options.val_logits or options.val_labels):
        raise InputError("--weights, --val-logits and --val-labels are for fusing --logits; give those")
    if bool(options.val_logits) != bool(options.val_labels):
        raise InputError("--val-logits and --val-labels go together")
    if options.weights and options.val_logits:
        raise InputError("give --weights, or --val-logits to choose them on, not both")
    if len(options.logits) == 1 and (options.weights or options.val_logits):
        raise InputError("weights are for fusing several models; give several files to --logits")
    if options.shards and not options.report:
        raise InputError("--shards is for the pictures of the report; give --report DIR, too")
    if options.report:
        written = [options.report / name for name in REPORT_FILES]
        for path in filter(None, (options.predictions, options.labels, options.classes, *options.logits)):
            if is_among(path, written):
                raise InputError(f"{path}: the report would be written over it; give --report another folder")


def _fused(options: EvaluateOptions) -> Logits:
    """One Logits of several models' by the weights given, chosen or, without either, equal."""
    parts = read_together(options.logits)
    if len(parts) == 1:
        return parts[0]
    if options.val_labels:
        weights = _chosen(parts, options.val_logits, options.val_labels)
    elif options.weights:
        weights = parse_weights(options.weights, len(parts))
    else:
        weights = np.full(len(parts), 1 / len(parts))
    click.echo("weights " + ",".join(f"{weight:.4f}" for weight in weights))
    return fuse(parts, weights)


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
    truth = expected_classes(validation[0].source, validation[0].ids, val_labels, read_classes_of(val_labels))
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
