"""The `shards` command. Heavy imports wait until a command runs."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from shards.command_line import (
    Commands,
    ManyValuesCommand,
    ShardPattern,
    print_line,
    settings_from,
    version_option,
)
from shards.format.dataset import SAMPLES_PER_SHARD
from shards.remote.cache import CacheSettings, cache_options, gigabytes


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@version_option
def main() -> None:
    """Look after shard sets: list, verify, split, reshard, inspect, fetch.

    DIR is a folder with a dataset.json, or the URL of one, which ends in /. A PATTERN names some of its shards and may
    begin with a URL, too (of list and verify only DIR): see `shards fetch --help`. Exit status: 0 all right; 2 the
    command line or an input file is wrong; 3 `verify` found faults; 1 anything else.
    """


_FILE = click.Path(path_type=Path, dir_okay=False)
_FOLDER = click.Path(path_type=Path, file_okay=False)
_JOBS = click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=lambda: len(os.sched_getaffinity(0)),
    show_default="the cores that it may use",
    help="Workers.",
)
_SETTINGS = {"show_default": True}


@main.command("list", context_settings=_SETTINGS)
@click.argument("pattern", metavar="DIR|PATTERN", type=ShardPattern())
@click.option("--json", "as_json", is_flag=True, help="As JSON, with the classes' names and counts.")
@cache_options
def list_shards(pattern: str, as_json: bool, **cache: Any) -> None:
    """Show what a shard set holds: splits, samples, bytes, classes, signers, recipe."""
    from shards.commands.listing import list_command

    list_command(pattern, as_json, CacheSettings(**cache))


@main.command(context_settings=_SETTINGS)
@click.argument("pattern", metavar="DIR|PATTERN", type=ShardPattern())
@click.option("--full", is_flag=True, help="Every byte: SHA-256, every JPEG decoded, offsets, shapes, finite values.")
@_JOBS
@cache_options
def verify(pattern: str, full: bool, jobs: int, **cache: Any) -> None:
    """Check that a shard set is what its dataset.json and its indexes say.

    The quick check looks at sizes, tar headers and JSON members; it cannot see a changed pixel, --full can. Faults are
    printed one a line, and the exit status is then 3.
    """
    from shards.commands.verify import verify_command

    sys.exit(verify_command(pattern, full, jobs, CacheSettings(**cache)))


_SPLIT_GROUPS = {
    "Samples": ("labels", "shards", "cache", "cache_gb"),
    "Splits": ("holdout_signers", "by", "fractions", "keep", "per_class", "names", "seed"),
    "Folds": ("folds", "leave_one_signer_out"),
}


@main.command(cls=ManyValuesCommand, groups=_SPLIT_GROUPS, context_settings=_SETTINGS)
@click.option(
    "--labels", type=_FILE, help="CSV id,class[,split], or a clip list with columns id, label, signer, split."
)
@click.option(
    "--shards", type=ShardPattern(), multiple=True, help="Shards instead: folder, glob or train-{000..099}.tar."
)
@click.option("--holdout-signers", metavar="LIST", help="Signers for the last split, e.g. 8,9: val, or test with --by.")
@click.option("--keep", metavar="LIST", help="Splits that stay as they are, e.g. test; the others are divided.")
@click.option("--by", type=click.Choice(("signer", "sample")), help="Divide by --fractions, stratified by class.")
@click.option("--fractions", metavar="LIST", help="Shares of the splits, with --by.  [default: 0.8,0.2]")
@click.option("--folds", type=click.IntRange(2), help="Folds of one size instead, signers apart unless --by sample.")
@click.option("--leave-one-signer-out", is_flag=True, help="A fold for each signer, named as the signer.")
@click.option("--per-class", type=click.IntRange(1), help="Only so many samples of each class in the first split.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Of --by, --folds and --per-class.  [default: 0]")
@click.option("--names", metavar="LIST", help="Names of the splits.  [default: train,val or train,val,test]")
@click.option("--out", required=True, type=_FILE, help="CSV: id,split for `shards reshard`, or id,fold for `train`.")
@cache_options
def split(**options: object) -> None:
    """Propose which sample goes into which split, or into which fold.

    --by signer leaves no signer on two sides; --by sample does not care, and warns. Samples without a class are left
    out.
    """
    from shards.commands.split import SplitSettings, split_command

    split_command(settings_from(options, SplitSettings, cache=settings_from(options, CacheSettings)))


_RESHARD_GROUPS = {
    "Samples": ("shards", "assign", "signers", "cache", "cache_gb"),
    "Classes": ("only_classes", "most_frequent", "renumber"),
    "Merging": ("merge_classes", "allow_unlike"),
    "New shards": ("out", "samples_per_shard", "drop", "jobs"),
}


@main.command(
    cls=ManyValuesCommand,
    groups=_RESHARD_GROUPS,
    old_names={"--classes": "--only-classes"},
    context_settings=_SETTINGS,
)
@click.option(
    "--shards",
    type=ShardPattern(),
    required=True,
    multiple=True,
    help="Folder, glob or train-{000..099}.tar; several merge.",
)
@click.option("--out", required=True, type=_FOLDER, help="A new folder; or that of a killed run, which then goes on.")
@click.option("--assign", type=_FILE, help="CSV id,split or id,class,split; other ids are left out.")
@click.option("--samples-per-shard", type=click.IntRange(min=1), default=SAMPLES_PER_SHARD, help="Samples in a tar.")
@click.option(
    "--only-classes", metavar="LIST|FILE", help="Only these: numbers, ranges (0-19), names, or a CSV of those."
)
@click.option("--most-frequent", type=click.IntRange(1), help="Only so many classes, those with the most samples.")
@click.option(
    "--renumber", is_flag=True, help="Number the classes that have samples 0, 1, 2, …; else they keep theirs."
)
@click.option("--merge-classes", is_flag=True, help="Sets of other classes: those of the same name become one.")
@click.option(
    "--allow-unlike", multiple=True, type=click.Choice(("settings",)), help="Merge sets that were made otherwise, too."
)
@click.option("--signers", metavar="LIST", help="Only these signers.")
@click.option("--drop", multiple=True, type=click.Choice(("depth", "pose")), help="Members to leave out.")
@_JOBS
@cache_options
def reshard(**options: object) -> None:
    """Make other shards of the same samples: other splits, another size, a subset, several sets in one.

    Members are copied byte for byte, but for the class in the JSON where it has a new number; the originals stay as
    they are.
    """
    from shards.commands.reshard import ReshardSettings, reshard_command

    reshard_command(settings_from(options, ReshardSettings, cache=settings_from(options, CacheSettings)))


@main.command(context_settings=_SETTINGS)
@click.argument("patterns", metavar="DIR|PATTERN...", type=ShardPattern(), nargs=-1, required=True)
@click.option("--out", type=_FILE, default=Path("shards.html"), help="The page: one file, no network needed.")
@click.option("--samples", type=click.IntRange(min=1), default=12, help="How many to show, from all over the set.")
@click.option("--id", "ids", multiple=True, metavar="ID", help="Show this sample; may be given several times.")
@cache_options
def inspect(patterns: tuple[str, ...], out: Path, samples: int, ids: tuple[str, ...], **cache: Any) -> None:
    """Make an HTML page with pictures: hands and skeletons over time, histograms of classes, signers and frames."""
    from shards.commands.inspect import inspect as make_page

    make_page(patterns, out, samples, ids, CacheSettings(**cache))


@main.command(context_settings=_SETTINGS)
@click.argument("url", metavar="URL")
@click.option("--out", required=True, type=_FOLDER, help="A new folder; or that of a killed fetch, which then goes on.")
def fetch(url: str, out: Path) -> None:
    """Fetch shards that lie elsewhere, with their indexes and dataset.json, each checked by size and SHA-256.

    URL is https://HOST/DIR/ for a whole folder, or https://HOST/DIR/train-{000..099}.tar or train-*.tar for some of it;
    also s3:// (by the program aws), gs:// (by gsutil), and 'pipe:COMMAND' with train-{000..099}.tar in it, or {} for
    every shard: a shell runs the COMMAND.
    """
    from shards.remote.localize import fetch_into

    shards, size, dataset = fetch_into(url, out)
    everything = sum(map(len, dataset.splits.values()))
    some = "" if shards == everything else f"; it lists {everything}, so read these as '{out}/*.tar'"
    print_line(f"{out}: {shards} shards, {gigabytes(size)}, as dataset.json has them{some}")


if __name__ == "__main__":
    main()
