"""The options of `evaluate`, and which of them go together."""

from dataclasses import dataclass
from pathlib import Path

from shards.errors import InputError
from shards.files import check_output, is_among
from shards.remote.cache import CacheSettings
from train.evaluate.report.score_table import check_table

# Of `report_files`, which is imported for a report only.
REPORT_FILES = ("index.html", "report.json", "samples.csv", "signers.csv", "classes.csv", "confusions.csv")
# As SVG; those that a report has no figures for are left out.
FIGURE_FILES = ("scores.svg", "signers.svg", "confusions.svg", "classes.svg", "calibration.svg", "confidence.svg")


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

    @property
    def only_weights(self) -> bool:
        """Whether there is nothing to evaluate, only weights to choose."""
        return bool(self.save_weights and self.val_logits and not self.logits and not self.predictions)

    @property
    def files_read(self) -> list[Path]:
        """The files of answers, labels and names, none of which may be written over."""
        single = (self.labels, self.val_labels, self.classes, self.against)
        return [*self.predictions, *self.logits, *self.val_logits, *filter(None, single)]


def check(options: EvaluateOptions) -> None:
    """InputError for options that do not go together."""
    _check_fusion(options)
    if not options.only_weights:
        _check_evaluated(options)
        _check_each(options)
        _check_written(options)


def _check_fusion(options: EvaluateOptions) -> None:
    """InputError for options of weights that do not go together."""
    evaluated = (options.labels, options.shards, options.classes, options.weights, options.against, options.table)
    if options.only_weights and (any(evaluated) or options.each or options.report):
        raise InputError("--save-weights alone takes --val-logits and --val-labels; to evaluate, give --logits, too")
    if options.predictions and (options.weights or options.val_logits or options.val_labels):
        raise InputError("--weights, --val-logits and --val-labels are for fusing --logits; give those")
    if bool(options.val_logits) != bool(options.val_labels):
        raise InputError("--val-logits and --val-labels go together")
    if options.save_weights:
        if not options.val_logits:
            raise InputError("--save-weights keeps the weights that --val-logits and --val-labels choose; give those")
        check_output(options.save_weights, *options.files_read)


def _check_evaluated(options: EvaluateOptions) -> None:
    """InputError where what is to be evaluated is not said, or twice."""
    if bool(options.predictions) == bool(options.logits):
        raise InputError("give either --predictions or --logits")
    if not options.labels and not options.shards:
        raise InputError("give --labels, or --shards whose samples have labels")
    if len(options.predictions) > 1 and not options.each:
        raise InputError("several files of --predictions are those of folds or seeds: give --each, too")
    if options.weights and options.val_logits:
        raise InputError("give --weights, or --val-logits to choose them on, not both")
    if len(options.logits) == 1 and (options.weights or options.val_logits):
        raise InputError("weights are for fusing several models; give several files to --logits")
    evaluated = [*options.predictions, *options.logits]
    if options.against and len(evaluated) == 1 and is_among(options.against, evaluated):
        raise InputError(f"{options.against}: cannot be compared with itself; give --against another model's file")
    if options.labels and options.shards and not options.report:
        raise InputError("--shards, beside --labels, is for the pictures of the report; give --report DIR, too")


def _check_each(options: EvaluateOptions) -> None:
    """InputError where runs are not to be taken one by one, or the same one would be taken twice."""
    if options.each and (options.weights or options.val_logits or options.report or options.against):
        raise InputError("--each takes every file by itself; leave --weights, --val-logits, --report and --against out")
    files = [*options.predictions, *options.logits]
    for number, path in enumerate(files):
        if is_among(path, files[:number]):
            raise InputError(f"{path}: given twice, and would count as two {'runs' if options.each else 'models'}")


def _check_written(options: EvaluateOptions) -> None:
    """InputError where the table or the report cannot be written, or would be over what is read."""
    if options.table:
        check_table(options.table)
        check_output(options.table, *options.files_read)
    if options.report:
        written = [options.report / name for name in (*REPORT_FILES, *FIGURE_FILES)]
        for path in options.files_read:
            if is_among(path, written):
                raise InputError(f"{path}: the report would be written over it; give --report another folder")
