"""The `evaluate` command."""

from pathlib import Path
from typing import Any

import click

from shards.command_line import ManyValuesCommand, ShardPattern, cache_options, settings_from, version_option
from shards.remote.cache import CacheSettings

FILE = click.Path(path_type=Path)


_GROUPS = {
    "Answers": ("predictions", "logits", "each", "against"),
    "Truth": ("labels", "shards", "classes", "cache", "cache_gb"),
    "Fusing models": ("weights", "val_logits", "val_labels", "save_weights"),
    "Output": ("table", "report"),
}


@click.command(
    cls=ManyValuesCommand,
    groups=_GROUPS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.option(
    "--predictions", multiple=True, type=FILE, metavar="FILE.csv...", help="CSV id,class, as `predict --out` writes it."
)
@click.option(
    "--logits",
    multiple=True,
    type=FILE,
    metavar="FILE.npz...",
    help="As `predict --save-logits` writes them. Several models' files about the same samples are fused: the weighted "
    "mean of their probabilities.",
)
@click.option("--labels", type=FILE, help="The truth: CSV id,class, or a clip list.  [default: that of --shards]")
@click.option(
    "--each", is_flag=True, help="The files are folds or seeds: the scores of each, mean ± standard deviation."
)
@click.option(
    "--against",
    type=FILE,
    metavar="FILE.npz|CSV",
    help="Another model's answers to the same samples: is the difference more than chance?",
)
@click.option("--table", type=FILE, metavar="FILE.md|FILE.tex", help="Write the scores as a table for a paper.")
@click.option(
    "--weights", help="Of the --logits files, such as 0.6,0.4, or a file of --save-weights.  [default: equal]"
)
@click.option(
    "--val-logits",
    multiple=True,
    type=FILE,
    metavar="FILE.npz...",
    help="Choose the weights on these instead: the same models' logits for other samples, in the order of --logits.",
)
@click.option("--val-labels", type=FILE, help="CSV id,class for --val-logits.")
@click.option(
    "--save-weights", type=FILE, help="JSON file for the weights that --val-logits chose: `predict --weights` takes it."
)
@click.option("--classes", type=FILE, help="Class names: CSV with the header ClassId,NAME[,EN].")
@click.option("--report", type=FILE, help="Folder for index.html, report.json and CSV files.")
@click.option(
    "--shards",
    type=ShardPattern(),
    multiple=True,
    help="Shards with the samples, also of a URL: labels, and for the report pictures and signers.",
)
@cache_options
@version_option
def main(**options: Any) -> None:
    """Compare predictions with labels: accuracy over all samples, and the mean over classes; with logits, top-5, too.

    The report adds confidence intervals, signers, classes, confusions, calibration and the worst samples.
    """
    # SciPy takes 0.3 s to import: not for --help.
    from train.evaluate.evaluate import EvaluateOptions, evaluate

    evaluate(settings_from(options, EvaluateOptions, cache=settings_from(options, CacheSettings)))


if __name__ == "__main__":
    main()
