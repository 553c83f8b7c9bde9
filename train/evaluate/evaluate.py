"""What `evaluate` does: from its options to an outcome, what is printed, and the report."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shards.command_line import print_line
from shards.errors import InputError
from shards.files import check_output, is_among
from shards.format.shardset import ShardSet
from shards.remote.cache import CacheSettings
from shards.remote.localize import open_patterns
from shards.tables import read_classes
from train.evaluate.fusion import choose_weights, fuse, parse_weights, write_weights
from train.evaluate.logits import Logits, read_logits, read_together
from train.evaluate.outcome import Outcome, evaluate_logits, evaluate_predictions
from train.evaluate.report.score_table import check_table, write_table
from train.evaluate.truth import Truth, truth_of_file, truth_of_shards

# Of `report_files`, which is imported for a report only.
REPORT_FILES = ("index.html", "report.json", "samples.csv", "signers.csv", "classes.csv", "confusions.csv")


@dataclass(frozen=True)
class EvaluateOptions:
    """The options of `evaluate`; `evaluate --help` says what they are."""

    predictions: tuple[Path, ...]
    logits: tuple[Path, ...]
    labels: Path | None
    each: bool
    against: Path | None
    table: Path | None
    weights: str | None
    val_logits: tuple[Path, ...]
    val_labels: Path | None
    save_weights: Path | None
    classes: Path | None
    report: Path | None
    shards: tuple[str, ...]
    cache: CacheSettings


def evaluate(options: EvaluateOptions) -> None:
    """Print the scores, and write the table and the report where they are asked for; or only choose weights.

    Raises:
        InputError: options that do not go together, or a wrong input file.
    """
    _check(options)
    if _only_weights(options):
        _chosen_weights(read_together(options.val_logits), options)
        return
    shards = open_patterns(options.shards, options.cache) if options.shards else None
    if options.each:
        _print_each(options, shards)
        return
    if options.predictions:
        outcome = _of_predictions(options.predictions[0], options, shards)
    else:
        outcome = _of_logits(_fused(options), options, shards)
    truth_source = shards.source if shards and not options.labels else str(options.labels)
    _print(outcome, truth_source)
    if options.against:
        from train.evaluate.comparison import print_paired  # scipy.stats takes half a second

        is_logits = options.against.suffix == ".npz"
        other = _of_logits(read_logits(options.against), options, shards) if is_logits else None
        print_paired(outcome, other or _of_predictions(options.against, options, shards))
    if options.table:
        write_table(options.table, [outcome], None)
    if options.report:
        # scikit-learn, scipy.stats, Jinja2 and the JPEG decoder take 1.5 s to import, and only the report needs them.
        from train.evaluate.report.report_files import write_report

        write_report(options.report, outcome, truth_source, shards)
        print_line(f"{options.report / 'index.html'}: report")


def _truth(options: EvaluateOptions, shards: ShardSet | None, names: Sequence[str] | None) -> Truth:
    """The labels; `names`: those of the logits' classes, if known."""
    if options.labels:
        return truth_of_file(options.labels, read_classes(options.classes) if options.classes else names)
    if shards is None:
        raise InputError("give --labels, or --shards whose samples have labels")
    return truth_of_shards(shards, names)


def _of_predictions(path: Path, options: EvaluateOptions, shards: ShardSet | None) -> Outcome:
    return evaluate_predictions(path, _truth(options, shards, None), options.classes)


def _of_logits(logits: Logits, options: EvaluateOptions, shards: ShardSet | None) -> Outcome:
    return evaluate_logits(logits, _truth(options, shards, logits.classes), options.classes)


def _print_each(options: EvaluateOptions, shards: ShardSet | None) -> None:
    """The scores of folds or seeds, and what they are together."""
    from train.evaluate.comparison import pooled, spreads  # scipy.stats takes half a second

    outcomes = [_of_predictions(path, options, shards) for path in options.predictions]
    outcomes += [_of_logits(read_logits(path), options, shards) for path in options.logits]
    spread = spreads(outcomes)
    for outcome in outcomes:
        scores = ", ".join(f"{_NAMES[name]} {value:.4f}" for name, value in outcome.scores().items())
        print_line(f"{outcome.source}: {scores} ({len(outcome.ids)} samples)")
    for name in outcomes[0].scores():
        print_line(f"{_NAMES[name]} {spread[name].mean:.4f} ± {spread[name].deviation:.4f} ({len(outcomes)} runs)")
    if whole := pooled(outcomes):
        hits = whole.hits()["top1"]
        print_line(f"accuracy over all samples {hits.mean():.4f} ({hits.sum()} of {len(hits)})")
    if options.table:
        write_table(options.table, outcomes, spread)


_NAMES = {"top1": "accuracy", "top5": "top-5", "class_mean": "per-class mean"}


def _check(options: EvaluateOptions) -> None:
    """InputError for options that do not go together."""
    _check_fusion(options)
    if not _only_weights(options):
        _check_evaluated(options)
        _check_written(options)


def _only_weights(options: EvaluateOptions) -> bool:
    """Whether there is nothing to evaluate, only weights to choose."""
    return bool(options.save_weights and options.val_logits and not options.logits and not options.predictions)


def _check_fusion(options: EvaluateOptions) -> None:
    """InputError for options of weights that do not go together."""
    evaluated = (options.labels, options.shards, options.classes, options.weights, options.against, options.table)
    if _only_weights(options) and (any(evaluated) or options.each or options.report):
        raise InputError("--save-weights alone takes --val-logits and --val-labels; to evaluate, give --logits, too")
    if options.predictions and (options.weights or options.val_logits or options.val_labels):
        raise InputError("--weights, --val-logits and --val-labels are for fusing --logits; give those")
    if bool(options.val_logits) != bool(options.val_labels):
        raise InputError("--val-logits and --val-labels go together")
    if options.save_weights:
        if not options.val_logits:
            raise InputError("--save-weights keeps the weights that --val-logits and --val-labels choose; give those")
        read = (options.labels, options.val_labels, options.classes, *options.logits, *options.val_logits)
        check_output(options.save_weights, *filter(None, read))


def _check_evaluated(options: EvaluateOptions) -> None:
    """InputError where what is to be evaluated is not said, or twice."""
    if bool(options.predictions) == bool(options.logits):
        raise InputError("give either --predictions or --logits")
    if not options.labels and not options.shards:
        raise InputError("give --labels, or --shards whose samples have labels")
    if len(options.predictions) > 1 and not options.each:
        raise InputError("several files of --predictions are those of folds or seeds: give --each, too")
    if options.each and (options.weights or options.val_logits or options.report or options.against):
        raise InputError("--each takes every file by itself; leave --weights, --val-logits, --report and --against out")
    if options.weights and options.val_logits:
        raise InputError("give --weights, or --val-logits to choose them on, not both")
    if len(options.logits) == 1 and (options.weights or options.val_logits):
        raise InputError("weights are for fusing several models; give several files to --logits")
    if options.labels and options.shards and not options.report:
        raise InputError("--shards, beside --labels, is for the pictures of the report; give --report DIR, too")


def _check_written(options: EvaluateOptions) -> None:
    """InputError where the table or the report cannot be written, or would be over what is read."""
    read = [*options.predictions, *options.logits, *filter(None, (options.labels, options.classes, options.against))]
    if options.table:
        check_table(options.table)
        check_output(options.table, *read)
    if options.report:
        written = [options.report / name for name in REPORT_FILES]
        for path in read:
            if is_among(path, written):
                raise InputError(f"{path}: the report would be written over it; give --report another folder")


def _fused(options: EvaluateOptions) -> Logits:
    """One Logits of several models' by the weights given, chosen or, without either, equal."""
    parts = read_together(options.logits)
    if len(parts) == 1:
        return parts[0]
    if options.val_labels:
        return fuse(parts, _chosen_weights(_validation_of(parts, options.val_logits), options))
    weights = parse_weights(options.weights, len(parts))
    _tell(weights)
    return fuse(parts, weights)


def _tell(weights: np.ndarray) -> None:
    print_line("weights " + ",".join(f"{weight:.4f}" for weight in weights))


def _validation_of(parts: list[Logits], val_logits: Sequence[Path]) -> list[Logits]:
    """The logits of validation samples, none of which is evaluated."""
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
    return validation


def _chosen_weights(validation: list[Logits], options: EvaluateOptions) -> np.ndarray:
    """The best weights for validation samples, printed, and kept where they are asked for."""
    if len(validation) == 1:
        raise InputError("weights are for fusing several models; give several files to --val-logits")
    val_labels = options.val_labels
    if val_labels is None:
        raise InputError("--val-logits and --val-labels go together")
    truth = truth_of_file(val_labels, validation[0].classes).of(validation[0].ids, validation[0].source)
    if truth.max() >= len(validation[0].classes):
        raise InputError(f"{val_labels}: class {truth.max()} occurs, but {validation[0].source} has fewer classes")
    weights = choose_weights(validation, truth)
    _tell(weights)
    if options.save_weights:
        write_weights(options.save_weights, weights, [part.source for part in validation])
    return weights


def _print(outcome: Outcome, labels: str) -> None:
    hits, scores = outcome.hits(), outcome.scores()
    print_line(f"accuracy {scores['top1']:.4f} ({hits['top1'].sum()} of {len(outcome.ids)})")
    print_line(f"per-class mean {scores['class_mean']:.4f}")
    if "top5" in hits:
        print_line(f"top-5 {scores['top5']:.4f} ({hits['top5'].sum()} of {len(outcome.ids)})")
    if outcome.unpredicted:
        print_line(
            f"warning: {labels}: {len(outcome.unpredicted)} labels have no prediction and are not counted, "
            f"e.g. {outcome.unpredicted[0]}",
            err=True,
        )
