"""`shards split`: from labels or shards to an assignment CSV."""

import math
from dataclasses import dataclass
from pathlib import Path

from shards.command_line import print_line
from shards.commands.split_plan import LabeledSamples, by_sample, by_signer, describe, hold_out
from shards.errors import InputError
from shards.files import check_output
from shards.format.shardset import files_of
from shards.names import is_split_name, signer_of
from shards.remote.cache import CacheSettings
from shards.remote.localize import open_pattern
from shards.tables import read_labels, write_assignment

_NAMES = ("train", "val", "test")
_FRACTIONS = "0.8,0.2"


@dataclass(frozen=True)
class SplitSettings:
    """The options of `shards split`, as typed."""

    labels: Path | None
    shards: str | None
    out: Path
    holdout_signers: str | None
    by: str | None
    fractions: str | None
    seed: int | None
    names: str | None
    cache: CacheSettings


def split_command(settings: SplitSettings) -> None:
    """Divide, write the CSV, and print what came of it.

    Raises:
        InputError: options that contradict each other, an output that is an input, or samples that cannot be divided.
    """
    if (settings.labels is None) == (settings.shards is None):
        raise InputError("give either --labels or --shards: where the samples are listed")
    if (settings.holdout_signers is None) == (settings.by is None):
        raise InputError("give either --holdout-signers or --by: how to divide")
    if settings.by is None and (settings.fractions, settings.seed) != (None, None):
        raise InputError("--fractions and --seed go with --by, not with --holdout-signers")
    samples, sources = _read_samples(settings)
    check_output(settings.out, *sources)
    splits = _divide(samples, settings)
    write_assignment(settings.out, zip(samples.ids, splits, strict=True))
    for line in describe(samples, splits):
        print_line(line, err=line.startswith("warning"))
    print_line(f"{settings.out}: {len(splits)} rows id,split")


def _read_samples(settings: SplitSettings) -> tuple[LabeledSamples, list[Path]]:
    """The samples of a label CSV (signers from AUTSL's ids) or of shards (signers from the index), and the files."""
    if settings.labels is not None:
        rows = read_labels(settings.labels)
        labels: list[int | None] = [label for label, _ in rows.values()]
        return LabeledSamples(list(rows), labels, [signer_of(key) for key in rows]), [settings.labels]
    found = open_pattern(settings.shards or "", settings.cache)
    classes = [None if label < 0 else label for label in found.labels.tolist()]
    return LabeledSamples(found.ids.to_pylist(), classes, found.signers.to_pylist()), files_of(found)


def _divide(samples: LabeledSamples, settings: SplitSettings) -> list[str]:
    """The split of every sample."""
    if settings.holdout_signers is not None:
        signers = [signer.strip() for signer in settings.holdout_signers.split(",")]
        first, second = _names(settings.names, 2)
        return hold_out(samples, signers, (first, second))
    fractions = _fractions(_FRACTIONS if settings.fractions is None else settings.fractions)
    names = _names(settings.names, len(fractions))
    return (by_signer if settings.by == "signer" else by_sample)(samples, fractions, names, settings.seed or 0)


def _fractions(text: str) -> list[float]:
    try:
        fractions = [float(part) for part in text.split(",")]
    except ValueError:
        fractions = []
    # Put so that NaN, of which every comparison is false, is none.
    if not (all(0 < part < 1 for part in fractions) and math.isclose(sum(fractions), 1, abs_tol=1e-6)):
        raise InputError(f"--fractions {text}: expected two or more positive numbers that add up to 1, as in 0.8,0.2")
    return fractions


def _names(text: str | None, count: int) -> list[str]:
    names = list(_NAMES[:count]) if text is None else [name.strip() for name in text.split(",")]
    if len(names) != count or len(set(names)) < count or not all(map(is_split_name, names)):
        raise InputError(f"--names {text or ','.join(names)}: {count} different names of splits are needed here")
    return names
