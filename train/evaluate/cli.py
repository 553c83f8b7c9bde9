"""The `evaluate` command."""

from pathlib import Path
from typing import Any

import click

from shards.command_line import (
    ManyValuesCommand,
    ShardPattern,
    file_patterns,
    settings_from,
    version_option,
)
from shards.remote.cache import CacheSettings, cache_options

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
@click.argument("files", nargs=-1, type=FILE, callback=file_patterns(), metavar="[FILE]...")
@click.option(
    "--predictions",
    multiple=True,
    type=FILE,
    callback=file_patterns(".csv"),
    metavar="FILE.csv...",
    help="CSV id,class, as `predict --out` writes it.",
)
@click.option(
    "--logits",
    multiple=True,
    type=FILE,
    callback=file_patterns(".npz"),
    metavar="FILE.npz...",
    help="As `predict --save-logits` writes them. Several models' files about the same samples are fused: the weighted "
    "mean of their probabilities.",
)
@click.option("--labels", type=FILE, help="The truth: CSV id,class, or a clip list.  [default: that of --shards]")
@click.option(
    "--each",
    is_flag=True,
    help="The files are folds or seeds: the scores of each, and their mean ± sample standard deviation (n - 1).",
)
@click.option(
    "--against",
    type=FILE,
    metavar="FILE.npz|CSV",
    help="Another model's answers to the same samples: the difference with its interval (paired bootstrap), and "
    "McNemar's test.",
)
@click.option(
    "--table",
    type=FILE,
    metavar="FILE.md|FILE.tex",
    help="Write the scores as a table for a paper, as Markdown or LaTeX.",
)
@click.option(
    "--weights", help="Of the --logits files, such as 0.6,0.4, or a file of --save-weights.  [default: equal]"
)
@click.option(
    "--val-logits",
    multiple=True,
    type=FILE,
    callback=file_patterns(".npz"),
    metavar="FILE.npz...",
    help="Choose the weights on these instead: the same models' logits for other samples, in the order of --logits.",
)
@click.option("--val-labels", type=FILE, help="CSV id,class for --val-logits.")
@click.option(
    "--save-weights", type=FILE, help="JSON file for the weights that --val-logits chose: `predict --weights` takes it."
)
@click.option("--classes", type=FILE, help="Class names: CSV with the header ClassId,NAME[,EN].")
@click.option("--report", type=FILE, help="Folder for index.html, report.json, CSV files and figures as SVG.")
@click.option(
    "--shards",
    type=ShardPattern(),
    multiple=True,
    help="Shards with the samples, also of a URL: labels, and for the report pictures and signers.",
)
@cache_options
@version_option
def main(files: tuple[Path, ...], **options: Any) -> None:
    """Compare predictions with labels: accuracy, the mean over classes, macro precision and F1; with logits, top-5 and
    top-10, too.

    FILE is one of --logits where its name ends in .npz, else one of --predictions. Where several files may stand, so
    may a glob in quotes, such as 'seeds/*.npz'; after --logits and --predictions a folder of them, too.

    The report adds confidence intervals, signers, classes, confusions, calibration and the worst samples.
    """
    options["logits"] += tuple(path for path in files if path.suffix == ".npz")
    options["predictions"] += tuple(path for path in files if path.suffix != ".npz")
    # SciPy takes 0.3 s to import: not for --help.
    from train.evaluate.evaluate import evaluate
    from train.evaluate.options import EvaluateOptions

    evaluate(settings_from(options, EvaluateOptions, cache=settings_from(options, CacheSettings)))


if __name__ == "__main__":
    main()
