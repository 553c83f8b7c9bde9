"""What `evaluate` does: from its options to an outcome, what is printed, and the report."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shards.command_line import print_line
from shards.errors import InputError
from shards.files import check_output, is_among
from train.evaluate.fusion import choose_weights, fuse, parse_weights, write_weights
from train.evaluate.logits import Logits, read_together
from train.evaluate.outcome import Outcome, evaluate_logits, evaluate_predictions, expected_classes, read_classes_of

# Of `report_files`, which is imported for a report only.
REPORT_FILES = ("index.html", "report.json", "samples.csv", "signers.csv", "classes.csv", "confusions.csv")


@dataclass(frozen=True)
class EvaluateOptions:
    """The options of `evaluate`; `evaluate --help` says what they are."""

    predictions: Path | None
    logits: tuple[Path, ...]
    labels: Path | None
    weights: str | None
    val_logits: tuple[Path, ...]
    val_labels: Path | None
    save_weights: Path | None
    classes: Path | None
    report: Path | None
    shards: str | None


def evaluate(options: EvaluateOptions) -> None:
    """Print the scores, and write the report where one is asked for; or only choose weights.

    Raises:
        InputError: options that do not go together, or a wrong input file.
    """
    _check(options)
    labels = options.labels
    if labels is None:  # `_check` has seen to it that weights are to be chosen
        _chosen_weights(read_together(options.val_logits), options)
        return
    if options.predictions:
        outcome = evaluate_predictions(options.predictions, labels, options.classes)
    else:
        outcome = evaluate_logits(_fused(options), labels, options.classes)
    _print(outcome, labels)
    if options.report:
        # scikit-learn, scipy.stats, Jinja2 and the JPEG decoder take 1.5 s to import, and only the report needs them.
        from train.evaluate.report_files import write_report

        write_report(options.report, outcome, labels, options.shards)
        print_line(f"{options.report / 'index.html'}: report")


def _check(options: EvaluateOptions) -> None:
    """InputError for options that do not go together."""
    only_weights = bool(options.save_weights and options.val_logits and not options.logits and not options.predictions)
    if only_weights and (options.labels or options.report or options.weights):
        raise InputError("--labels, --report and --weights are for what is evaluated: give --logits, too")
    if not only_weights:
        _check_evaluated(options)
    if bool(options.val_logits) != bool(options.val_labels):
        raise InputError("--val-logits and --val-labels go together")
    if options.save_weights:
        if not options.val_logits:
            raise InputError("--save-weights keeps the weights that --val-logits and --val-labels choose; give those")
        read = (options.labels, options.val_labels, options.classes, *options.logits, *options.val_logits)
        check_output(options.save_weights, *filter(None, read))


def _check_evaluated(options: EvaluateOptions) -> None:
    """InputError where what is to be evaluated is not said, or twice."""
    if (options.predictions is None) == (not options.logits):
        raise InputError("give either --predictions or --logits")
    if options.labels is None:
        raise InputError("give the truth to --labels: a CSV id,class")
    if options.predictions and (options.weights or options.val_logits or options.val_labels):
        raise InputError("--weights, --val-logits and --val-labels are for fusing --logits; give those")
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
    truth = expected_classes(validation[0].source, validation[0].ids, val_labels, read_classes_of(val_labels))
    if truth.max() >= len(validation[0].classes):
        raise InputError(f"{val_labels}: class {truth.max()} occurs, but {validation[0].source} has fewer classes")
    weights = choose_weights(validation, truth)
    _tell(weights)
    if options.save_weights:
        write_weights(options.save_weights, weights, [part.source for part in validation])
    return weights


def _print(outcome: Outcome, labels: Path) -> None:
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
