"""What a data set's own list says: records, and the names of their classes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.lists.sources import Sources
from shards.errors import InputError


@dataclass(frozen=True)
class Record:
    """One clip as a data set's own list tells of it.

    Paths are relative to one of the roots, with "/", or absolute; where a clip may be in several places, the likeliest
    is first. A video's suffix may differ from the disk's.
    """

    name: str  # the id is made of it
    split: str  # "" where the list has no splits
    signer: str  # "" where it does not say who signs
    label: int | None
    color: tuple[str, ...] = ()  # empty for a clip without video
    depth: str | None = None
    keypoints: str | None = None
    start: float | None = None  # seconds of a longer video
    end: float | None = None  # exclusive
    frames: tuple[int, int | None] | None = None  # instead: frames of a longer video, from 0, end exclusive
    fps: float | None = None  # of these frames where the video cannot be asked


@dataclass(frozen=True)
class ClipListing:
    """A whole list."""

    records: list[Record]
    classes: list[str]  # names in the order of the classes
    notes: list[str] = field(default_factory=list)  # what was read, and how
    unreadable: list[str] = field(default_factory=list)  # names and rows that do not follow the list's rule
    unmatched: list[str] = field(default_factory=list)  # files that are neither clips nor lists
    roots: list[Path] = field(default_factory=list)  # folders that the paths count from

    @classmethod
    def of_lists(cls, sources: Sources, lists: Sequence[Path], classes: list[str], how: str) -> "ClipListing":
        """A listing of list files without its records yet; `how` says where the classes come from."""
        notes = [*(f"list: {path}" for path in lists), f"classes: {how}"]
        return cls([], classes, notes, roots=sources.roots(lists))


_SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val"}
_SPLITS |= {"test": "test", "testing": "test"}


def split_name(text: str) -> str:
    """The split that a word stands for: `validation` and `dev` are val; a word that names no known split is itself."""
    return _SPLITS.get(text.casefold(), text)


def is_known_split(text: str) -> bool:
    """Whether a word is one of those that name train, val and test."""
    return text.casefold() in _SPLITS


def split_of_file(path: Path) -> str:
    """The split in the name of a list, `MSASL_val.json`, `split.train.csv`, `train_include50.csv`.

    Raises:
        InputError: no such word in it.
    """
    words = path.stem.replace(".", "_").replace("-", "_").split("_")
    found = [word for word in words if is_known_split(word)]
    if not found:
        raise InputError(f"{path}: its name must hold train, val or test, to say which split it lists")
    return split_name(found[0])


def one_per_split(lists: Sequence[Path]) -> list[Path]:
    """Lists of different splits, train first.

    Raises:
        InputError: two are of one split.
    """
    by_split: dict[str, Path] = {}
    for path in lists:
        split = split_of_file(path)
        if by_split.setdefault(split, path) != path:
            raise InputError(f"{path}: a list of {split}, as {by_split[split]}; give the paths of those to read")
    return [by_split[split] for split in ("train", "val", "test") if split in by_split]


def sorted_classes(names: Sequence[str]) -> list[str]:
    """Different names in the order of the classes: by number where all are whole numbers, else by code points."""
    different = set(names)
    numbers = all(name.isascii() and name.isdigit() for name in different)
    return sorted(different, key=lambda name: (int(name), name) if numbers else (0, name))


_YOUTUBE = re.compile(r"(?:youtu\.be/|youtube\.com/(?:embed/|shorts/|v/|watch\?(?:.*&)?v=))([\w-]{11})", re.IGNORECASE)


def youtube_id(url: str) -> str | None:
    """The video's id in an address of YouTube, with or without `https://`; None for another address."""
    match = _YOUTUBE.search(url)
    return match[1] if match else None
