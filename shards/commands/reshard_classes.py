"""Classes of a new shard set: which ones are taken, and new numbers for them."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from shards.commands.reshard_plan import SourceSample
from shards.csv_files import read_cells
from shards.errors import InputError
from shards.format.dataset import Dataset

_RANGE = re.compile(r"(\d+)-(\d+)", re.ASCII)


def wanted_classes(text: str, names: Sequence[str]) -> set[int]:
    """The classes that `--only-classes` means: numbers, ranges and names with commas between them, or a file of them.

    Args:
        text: such as `0,3`, `0-19`, `hello,thanks`, or the path of a CSV whose first column has one in each row; a
            first row that begins with ClassId is passed over.
        names: of all classes, in their order.

    Raises:
        InputError: something that is neither a number nor a name of a class, or a file that cannot be read.
    """
    parts = [(part.strip(), "--only-classes") for part in text.split(",")]
    if os.path.isfile(text):  # noqa: PTH113 (Path's own raises an error for a list too long for the name of a file)
        rows = read_cells(Path(text))
        parts = [(cells[0], f"{text}:{line}") for line, cells in rows if cells[0] != "ClassId"]
    return {number for part, place in parts for number in _numbers(part, names, place)}


def _numbers(part: str, names: Sequence[str], place: str) -> Sequence[int]:
    meant = [number for number, name in enumerate(names) if part in (name, str(number))]
    if len(meant) > 1:
        raise InputError(f"{place}: {part!r} is the name or number of classes {meant}; give a range such as 3-3")
    if meant:
        return meant
    if part.isascii() and part.isdigit():
        return [int(part)]
    if (match := _RANGE.fullmatch(part)) and int(match[1]) <= int(match[2]) < len(names):
        return range(int(match[1]), int(match[2]) + 1)
    raise InputError(
        f"{place}: {part!r} is no class; give numbers such as 0,3, ranges such as 0-19, names, or a file of these; "
        f"there are {len(names)} classes, from {names[0]!r} to {names[-1]!r}"
    )


def most_frequent(sources: Sequence[SourceSample], count: int) -> set[int]:
    """The classes with the most samples; of equal ones those with smaller numbers.

    Raises:
        InputError: fewer classes have samples.
    """
    samples = Counter(source.label for source in sources if source.label is not None)
    if len(samples) < count:
        raise InputError(f"--most-frequent {count}: only {len(samples)} classes have samples")
    return set(sorted(samples, key=lambda label: (-samples[label], label))[:count])


def renumbered(dataset: Dataset, sources: Sequence[SourceSample]) -> tuple[Dataset, list[SourceSample]]:
    """The set with only the classes that have samples, numbered 0, 1, 2, … in the order that they had."""
    used = sorted({source.label for source in sources if source.label is not None})
    new = {label: place for place, label in enumerate(used)}
    relabeled = [source if source.label is None else replace(source, label=new[source.label]) for source in sources]
    return replace(dataset, classes=[dataset.classes[label] for label in used]), relabeled
