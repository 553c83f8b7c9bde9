"""`shards split`: from labels or shards to an assignment CSV."""

import math
from dataclasses import dataclass
from pathlib import Path

from shards.command_line import print_line
from shards.commands.split_folds import few_per_class, folds, one_signer_each
from shards.commands.split_plan import LabeledSamples, by_sample, by_signer, describe, hold_out
from shards.errors import InputError
from shards.files import check_output
from shards.format.assignment import write_assignment
from shards.format.shardset import files_of
from shards.labels import read_labelled
from shards.names import is_split_name
from shards.remote.cache import CacheSettings
from shards.remote.localize import open_patterns

_NAMES = ("train", "val", "test")
_FRACTIONS = "0.8,0.2"


@dataclass(frozen=True)
class SplitSettings:
    """The options of `shards split`, as typed."""

    labels: Path | None
    shards: tuple[str, ...]
    out: Path
    holdout_signers: str | None
    keep: str | None
    by: str | None
    fractions: str | None
    folds: int | None
    leave_one_signer_out: bool
    per_class: int | None
    seed: int | None
    names: str | None
    cache: CacheSettings

    @property
    def into_folds(self) -> bool:
        """Whether the CSV has folds, not splits."""
        return self.folds is not None or self.leave_one_signer_out


def split_command(settings: SplitSettings) -> None:
    """Divide, write the CSV, and print what came of it.

    Raises:
        InputError: options that contradict each other, an output that is an input, or samples that cannot be divided.
    """
    _check(settings)
    samples, before, sources = _read_samples(settings)
    check_output(settings.out, *sources)
    splits = _divide(samples, before, settings)
    if left_out := sum(split is None for split in splits):
        print_line(f"{left_out} of {len(splits)} samples are left out", err=True)
    chosen = samples.take([place for place, split in enumerate(splits) if split is not None])
    assigned = [split for split in splits if split is not None]
    kind = "fold" if settings.into_folds else "split"
    header = ("id", kind) if settings.into_folds else ()
    write_assignment(settings.out, zip(chosen.ids, assigned, strict=True), header)
    for line in describe(chosen, assigned, "fold " if settings.into_folds else ""):
        print_line(line, err=line.startswith("warning"))
    print_line(f"{settings.out}: {len(assigned)} rows id,{kind}")


def _check(settings: SplitSettings) -> None:
    """InputError for options that do not go together."""
    if (settings.labels is None) == (not settings.shards):
        raise InputError("give either --labels or --shards: where the samples are listed")
    if settings.leave_one_signer_out and (settings.by or settings.folds):
        raise InputError("--leave-one-signer-out divides by itself; leave --by and --folds out")
    divided = settings.by or settings.into_folds or settings.holdout_signers is not None
    if not divided and not (settings.keep and settings.per_class):
        raise InputError("give --holdout-signers, --by, --folds or --leave-one-signer-out: how to divide")
    if settings.fractions is not None and (settings.by is None or settings.folds):
        raise InputError("--fractions goes with --by, and not with --folds, which are of one size")
    if settings.seed is not None and not (settings.by or settings.folds or settings.per_class):
        raise InputError("--seed goes with --by, --folds and --per-class")
    if settings.into_folds and (settings.names or settings.per_class):
        raise InputError("--names and --per-class are for splits, not for folds")
    if settings.names and not (settings.by or settings.holdout_signers):
        raise InputError("--names goes with --by and --holdout-signers, which make new splits")


def _read_samples(settings: SplitSettings) -> tuple[LabeledSamples, list[str | None], list[Path]]:
    """The samples with a class of a file of labels or of shards, their splits as they are, and the files read."""
    labels: list[int | None]
    before: list[str | None]
    if settings.labels is not None:
        rows = read_labelled(settings.labels)
        ids, labels, signers = [row.id for row in rows], [row.label for row in rows], [row.signer for row in rows]
        before, sources = [row.split for row in rows], [settings.labels]
        name = str(settings.labels)
    else:
        found = open_patterns(settings.shards, settings.cache)
        ids, signers = found.ids.to_pylist(), found.signers.to_pylist()
        labels = [None if label < 0 else label for label in found.labels.tolist()]
        before, sources, name = found.splits.tolist(), files_of(found), found.source
    labeled = [place for place, label in enumerate(labels) if label is not None]
    if not labeled:
        raise InputError(f"{name}: no sample has a class")
    if len(labeled) < len(ids):
        print_line(f"samples without a class, which are left out: {len(ids) - len(labeled)}", err=True)
    samples = LabeledSamples(ids, labels, signers).take(labeled)
    return samples, [before[place] for place in labeled], sources


def _divide(samples: LabeledSamples, before: list[str | None], settings: SplitSettings) -> list[str | None]:
    """The split, or fold, of every sample; None for those that are left out."""
    kept, first = _fixed(samples, before, settings)
    rest = [place for place, split in enumerate(kept) if split is None]
    splits: list[str | None] = list(kept)
    if settings.by or settings.into_folds:
        if not rest:
            raise InputError("--keep: these are all the samples; nothing is left to be divided")
        inside = _divided(samples.take(rest), settings, {split for split in kept if split is not None})
        if settings.into_folds:
            splits = [None] * len(splits)
        for place, split in zip(rest, inside, strict=True):
            splits[place] = split
    if settings.per_class:
        whole = [place for place, split in enumerate(splits) if split == first]
        few = {whole[place] for place in few_per_class(samples.take(whole), settings.per_class, settings.seed or 0)}
        splits = [None if split == first and place not in few else split for place, split in enumerate(splits)]
    return splits


def _fixed(
    samples: LabeledSamples, before: list[str | None], settings: SplitSettings
) -> tuple[list[str | None], str | None]:
    """The splits of --keep and --holdout-signers, None for what is still to be divided; and the first split's name."""
    keep = [name.strip() for name in settings.keep.split(",")] if settings.keep else []
    if absent := [name for name in keep if name not in before]:
        there = ", ".join(sorted({split for split in before if split})) or "none"
        raise InputError(f"--keep: no sample is in split {absent[0]}; there are {there}")
    fixed = [split if split in keep else None for split in before]
    names = _all_names(settings)
    if settings.holdout_signers is not None:
        signers = [signer.strip() for signer in settings.holdout_signers.split(",")]
        held = hold_out(samples, signers, ("", names[-1]))
        both = {split for split, name in zip(fixed, held, strict=True) if split and name and split != name}
        if both and not settings.into_folds:
            raise InputError(f"--holdout-signers: some of their samples are in split {min(both)}, which --keep keeps")
        also_rest = not settings.by and not settings.into_folds
        fixed = [split or name or (names[0] if also_rest else None) for split, name in zip(fixed, held, strict=True)]
    return fixed, names[0] if names else next(iter(keep), None)


def _all_names(settings: SplitSettings) -> list[str]:
    """The names of all the new splits, that of the signers held out last; none where there are only folds or old ones.

    With folds, the signers held out are in none of them, and need a name only to be told from the others.
    """
    shares = len(_fractions(settings.fractions or _FRACTIONS)) if settings.by and not settings.into_folds else 0
    held_out = settings.holdout_signers is not None
    return _names(settings.names, (shares or 1) + held_out) if shares or held_out else []


def _divided(samples: LabeledSamples, settings: SplitSettings, taken: set[str]) -> list[str]:
    """The split, or fold, of samples that are to be divided; `taken`: the names of the others' splits."""
    if settings.leave_one_signer_out:
        return one_signer_each(samples)
    if settings.folds is not None:
        return folds(samples, settings.folds, settings.by or "signer", settings.seed or 0)
    fractions = _fractions(settings.fractions or _FRACTIONS)
    names = _all_names(settings)[: len(fractions)]
    if both := taken & set(names):
        raise InputError(f"--keep: split {min(both)} would be made anew, too; give --names others")
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
