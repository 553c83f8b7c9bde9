"""The clip list: a CSV `id,split,signer,label,color[,depth][,keypoints][,start,end]`, its columns in any order."""

import math
import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.workspace.clip import Sample
from shards.csv_files import CsvRow, read_columns
from shards.errors import InputError
from shards.labels import LabelCell, number_labels, plain_id
from shards.names import id_problem, is_split_name

REQUIRED = ("id", "split", "signer", "label", "color")
OPTIONAL = ("depth", "keypoints", "start", "end")
NO_SPLIT = "all"  # the split of clips for which the list names none
_NOTHING = frozenset(("nan", "NaN"))


@dataclass(frozen=True)
class ClipList:
    """What a clip list says."""

    samples: list[Sample]  # in its order; their paths are absolute
    classes: list[str] | None  # names, in the order of the classes, where the labels are names


def read_clip_list(path: Path, classes: Sequence[str] | None = None) -> ClipList:
    """The clips of a CSV, in its order.

    Args:
        path: the CSV. Paths in it count from its folder.
        classes: the classes' names, for labels that are names; without them these are numbered in sorted order.

    Raises:
        InputError: see `read_columns` and `number_labels`; no rows; a wrong cell, or an id that is there twice; with
            the line and the column.
    """
    rows = list(read_columns(path, REQUIRED, OPTIONAL))
    if not rows:
        raise InputError(f"{path}: has no rows; list the clips below the header")
    labels, names = number_labels([LabelCell(path, row.line, row["label"]) for row in rows], classes)
    base = str(path.parent.absolute())
    samples: list[Sample] = []
    lines: dict[str, int] = {}
    for row, label in zip(rows, labels, strict=True):
        sample = _sample(row, label, base)
        if (line := lines.setdefault(sample.id, row.line)) != row.line:
            raise row.error("id", f"{sample.id} is in line {line} already; rename one")
        samples.append(sample)
    return ClipList(samples, names)


def _sample(row: CsvRow, label: int | None, base: str) -> Sample:
    if not _NOTHING.isdisjoint(row.cells.values()):
        for column, cell in row.cells.items():
            if cell in _NOTHING and column != "label":
                raise row.error(column, f"{cell} is pandas' word for nothing; leave the cell empty")
    sample_id = plain_id(row["id"])
    if problem := id_problem(sample_id):
        raise row.error("id", f"{problem} ({sample_id!r}); rename it")
    split = row["split"] or NO_SPLIT
    if not is_split_name(split):
        raise row.error("split", f"{split!r} cannot name a split")
    color, depth, keypoints = (_path(row.get(column), base) for column in ("color", "depth", "keypoints"))
    if color is None and keypoints is None:
        raise row.error("color", "empty; a clip needs a video or keypoints")
    if color is None and depth:
        raise row.error("depth", "goes with a color video, and this clip has none; leave it empty")
    start, end = _seconds(row, "start"), _seconds(row, "end")
    if color is None and (start, end) != (None, None):
        column = "end" if start is None else "start"
        raise row.error(column, "parts are of videos, and this clip has none; give the part's own keypoints")
    if end is not None and end <= (start or 0):
        raise row.error("end", f"{row['end']} is not after start; both are seconds")
    return Sample(sample_id, split, row["signer"], label, color, depth, keypoints, start, end)


def _path(cell: str, base: str) -> str | None:
    """A path as it is on the disk, which may have another Unicode form than the cell; strings: Paths take a second."""
    if not cell:
        return None
    path = os.path.join(base, cell)  # noqa: PTH118
    if cell.isascii() or os.path.lexists(path):
        return path
    forms = (os.path.join(base, unicodedata.normalize(form, cell)) for form in ("NFC", "NFD"))  # noqa: PTH118
    return next((form for form in forms if os.path.lexists(form)), path)


def _seconds(row: CsvRow, column: str) -> float | None:
    text = row.get(column)
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise row.error(column, f"{text!r} is no number of seconds from 0 up, as in 1.5")
    return seconds
