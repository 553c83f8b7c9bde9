"""`shards split`: from labels or shards to an assignment CSV."""

from pathlib import Path
from typing import NamedTuple

import click

from shards.commands.split_plan import Labelled, by_sample, by_signer, describe, hold_out
from shards.errors import InputError
from shards.files import is_among
from shards.format.shardset import open_shards
from shards.names import is_split_name, signer_of
from shards.tables import read_labels, write_assignment

_NAMES = ("train", "val", "test")
_FRACTIONS = "0.8,0.2"


class SplitOptions(NamedTuple):
    """How to divide, as typed: signers to hold out, or by what and in which shares."""

    holdout_signers: str | None
    by: str | None
    fractions: str | None
    seed: int | None
    names: str | None


def split_command(labels: Path | None, shards: str | None, out: Path, options: SplitOptions) -> None:
    """Divide, write the CSV, and print what came of it.

    Raises:
        InputError: options that contradict each other, or samples that cannot be divided so.
    """
    if (labels is None) == (shards is None):
        raise InputError("give either --labels or --shards: where the samples are listed")
    if (options.holdout_signers is None) == (options.by is None):
        raise InputError("give either --holdout-signers or --by: how to divide")
    if options.by is None and (options.fractions, options.seed) != (None, None):
        raise InputError("--fractions and --seed go with --by, not with --holdout-signers")
    if labels and is_among(out, [labels]):
        raise InputError(f"{out}: holds the labels; give --out another file")
    samples = read_samples(labels, shards)
    splits = divide(samples, options)
    write_assignment(out, zip(samples.ids, splits, strict=True))
    for line in describe(samples, splits):
        click.echo(line, err=line.startswith("warning"))
    click.echo(f"{out}: {len(splits)} rows id,split")


def read_samples(labels: Path | None, shards: str | None) -> Labelled:
    """The samples of a label CSV (signers from AUTSL's ids) or of shards (signers from the index)."""
    if labels is not None:
        rows = read_labels(labels)
        return Labelled(list(rows), [label for label, _ in rows.values()], [signer_of(key) for key in rows])
    found = open_shards(shards or "")
    classes = [None if label < 0 else label for label in found.labels.tolist()]
    return Labelled(found.ids.to_pylist(), classes, found.signers.to_pylist())


def divide(samples: Labelled, options: SplitOptions) -> list[str]:
    """The split of every sample."""
    if options.holdout_signers is not None:
        signers = [signer.strip() for signer in options.holdout_signers.split(",")]
        first, second = _names(options.names, 2)
        return hold_out(samples, signers, (first, second))
    fractions = _fractions(_FRACTIONS if options.fractions is None else options.fractions)
    names = _names(options.names, len(fractions))
    return (by_signer if options.by == "signer" else by_sample)(samples, fractions, names, options.seed or 0)


def _fractions(text: str) -> list[float]:
    try:
        fractions = [float(part) for part in text.split(",")]
    except ValueError:
        fractions = []
    if len(fractions) < 2 or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise InputError(f"--fractions {text}: expected two or more positive numbers that add up to 1, as in 0.8,0.2")
    return fractions


def _names(text: str | None, count: int) -> list[str]:
    names = list(_NAMES[:count]) if text is None else [name.strip() for name in text.split(",")]
    if len(names) != count or len(set(names)) < count or not all(map(is_split_name, names)):
        raise InputError(f"--names {text or ','.join(names)}: {count} different names of splits are needed here")
    return names
