"""What `evaluate` prints."""

from collections.abc import Sequence

import numpy as np

from shards.command_line import counted, print_line
from train.evaluate.comparison import Paired, Spread, mixed, pooled
from train.evaluate.outcome import Outcome

_NAMES = {
    "top1": "accuracy",
    "class_mean": "per-class mean",
    "top5": "top-5",
    "top10": "top-10",
    "precision": "macro precision",
    "f1": "macro F1",
}


def print_scores(outcome: Outcome) -> None:
    """The scores of an outcome, a line each, and a warning of labels that have no prediction."""
    hits, measures = outcome.hits(), outcome.measures()
    for name, title in _NAMES.items():
        if name in measures:
            share = f" ({hits[name].sum()} of {len(outcome.ids)})" if name in hits else ""
            print_line(f"{title} {measures[name]:.4f}{share}")
    _warn_unpredicted([outcome])


def print_runs(outcomes: Sequence[Outcome], spread: dict[str, Spread]) -> None:
    """The scores of folds or seeds, what they are together, and warnings of what should not be averaged."""
    for outcome in outcomes:
        measures = outcome.measures()
        scores = ", ".join(f"{title} {measures[name]:.4f}" for name, title in _NAMES.items() if name in measures)
        print_line(f"{outcome.source}: {scores} ({counted(len(outcome.ids), 'sample')})")
    for name, title in _NAMES.items():
        if name in spread:
            print_line(f"{title} {spread[name].mean:.4f} ± {spread[name].deviation:.4f} ({len(outcomes)} runs)")
    print_line("± is the sample standard deviation over the runs (with n - 1)")
    if whole := pooled(outcomes):
        hits = whole.hits()["top1"]
        print_line(f"accuracy over all samples {hits.mean():.4f} ({hits.sum()} of {len(hits)})")
    if mixed(outcomes):
        print_line(
            "warning: the runs are about different samples, and some are in several runs: neither folds nor seeds", True
        )
    _warn_unpredicted(outcomes)


def print_paired(found: Paired) -> None:
    """Two models on the same samples: the difference, its interval, and how likely it is by chance."""
    print_line(
        f"against {found.against}: accuracy {found.difference:+.4f} (95 % interval {found.interval.low:+.4f} to "
        f"{found.interval.high:+.4f}, paired bootstrap)"
    )
    print_line(
        f"McNemar: right here alone {found.only_first}, right there alone {found.only_second}, p = {found.p_value:.3g}"
    )


def print_weights(weights: np.ndarray) -> None:
    """The weights of fused models."""
    print_line("weights " + ",".join(f"{weight:.4f}" for weight in weights))


def _warn_unpredicted(outcomes: Sequence[Outcome]) -> None:
    predicted = {sample_id for outcome in outcomes for sample_id in outcome.ids}
    if ids := [sample_id for sample_id in outcomes[0].unpredicted if sample_id not in predicted]:
        count = counted(len(ids), "label")
        print_line(f"warning: {outcomes[0].labels}: {count} without a prediction, not counted, e.g. {ids[0]}", True)
