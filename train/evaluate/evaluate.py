"""What `evaluate` does: from its options to an outcome, what is printed, and the report."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from shards.command_line import print_line
from shards.errors import InputError
from shards.format.shardset import ShardSet
from shards.labels import label_names, read_classes
from shards.remote.localize import open_patterns
from train.evaluate.comparison import compare, spreads
from train.evaluate.fusion import choose_weights, fuse, parse_weights, write_weights
from train.evaluate.logits import Logits, read_logits, read_together
from train.evaluate.options import EvaluateOptions, check
from train.evaluate.outcome import Outcome, check_order, evaluate_logits, evaluate_predictions
from train.evaluate.printing import print_paired, print_runs, print_scores, print_weights
from train.evaluate.report.score_table import write_table
from train.evaluate.truth import Truth, truth_of_file, truth_of_shards


def evaluate(options: EvaluateOptions) -> None:
    """Print the scores, and write the table and the report where they are asked for; or only choose weights.

    Raises:
        InputError: options that do not go together, or a wrong input file.
    """
    check(options)
    if options.only_weights:
        _chosen_weights(read_together(options.val_logits), options)
        return
    shards = open_patterns(options.shards, options.cache) if options.shards else None
    if options.each:
        _each(options, shards)
        return
    outcomes = [_outcome(options.predictions[0] if options.predictions else _fused(options), options, shards)]
    print_scores(outcomes[0])
    paired = None
    if path := options.against:
        outcomes.append(_outcome(read_logits(path) if path.suffix == ".npz" else path, options, shards))
        _check_orders(outcomes, options.labels)
        paired = compare(*outcomes)
        print_paired(paired)
    if options.table:
        write_table(options.table, outcomes)
    if options.report:
        # Jinja2, scipy.stats and the JPEG decoder take a second to import, and only the report needs them.
        from train.evaluate.report.report_files import write_report

        write_report(options.report, outcomes[0], shards, paired)
        print_line(f"{options.report / 'index.html'}: report")


def _truth(options: EvaluateOptions, shards: ShardSet | None, names: Sequence[str] | None) -> Truth:
    """The labels; `names`: those of the logits' classes, if known."""
    if options.labels:
        return truth_of_file(options.labels, read_classes(options.classes) if options.classes else names)
    if shards is None:
        raise InputError("give --labels, or --shards whose samples have labels")
    return truth_of_shards(shards, names)


def _outcome(answers: Path | Logits, options: EvaluateOptions, shards: ShardSet | None) -> Outcome:
    """Of a file of predictions, or of logits."""
    if isinstance(answers, Logits):
        return evaluate_logits(answers, _truth(options, shards, answers.classes), options.classes)
    truth = _truth(options, shards, None)
    if options.labels and not options.classes and truth.names and not label_names(answers):
        print_line(
            f"warning: {truth.source}: its labels are names, numbered by this file alone ({len(truth.names)} of them) "
            f"to compare them with the numbers in {answers}; if it lacks a class, give --classes",
            err=True,
        )
    return evaluate_predictions(answers, truth, options.classes)


def _check_orders(outcomes: Sequence[Outcome], labels: Path | None) -> None:
    """InputError where labels are numbers, which cannot be right for two orders of the same classes."""
    if labels and label_names(labels) is None:
        for outcome in outcomes[1:]:
            check_order(outcome.source, outcome.classes, outcomes[0].source, outcomes[0].classes)


def _each(options: EvaluateOptions, shards: ShardSet | None) -> None:
    """The scores of folds or seeds, and what they are together."""
    runs: list[Path | Logits] = [*options.predictions, *map(read_logits, options.logits)]
    outcomes = [_outcome(run, options, shards) for run in runs]
    _check_orders(outcomes, options.labels)
    spread = spreads(outcomes)
    print_runs(outcomes, spread)
    if options.table:
        write_table(options.table, outcomes, spread)


def _fused(options: EvaluateOptions) -> Logits:
    """One Logits of several models' by the weights given, chosen or, without either, equal."""
    parts = read_together(options.logits)
    if len(parts) == 1:
        return parts[0]
    if options.val_labels:
        return fuse(parts, _chosen_weights(_validation_of(parts, options.val_logits), options))
    weights = parse_weights(options.weights, len(parts))
    print_weights(weights)
    return fuse(parts, weights)


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
        raise InputError(f"{val_logits[0]}: has other classes than {parts[0].source}, or in another order")
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
    print_weights(weights)
    if options.save_weights:
        write_weights(options.save_weights, weights, [part.source for part in validation])
    return weights
