"""What kind of file or folder the keypoints of a clip are, and the frames of a folder with one file for each."""

import os
import re
import tokenize
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pipeline.errors import ClipError
from shards.errors import InputError
from shards.files import read_limited

LARGEST_FRAME = 1 << 24  # bytes; OpenPose's JSON of a frame with one person has some 8,000
JSON_FOLDER, NPY_FOLDER = "folder of JSON", "folder of npy"
# Kinds of file, by suffix.
KINDS = {".npy": "npy", ".npz": "npz", ".pkl": "pickle", ".pickle": "pickle", ".pose": "pose", ".parquet": "parquet"}
# Not a hidden one: macOS writes ._NAME beside a file. OpenPose writes 12 digits; others do not fill up with zeros.
JSON_FRAME = re.compile(r"(?!\.)(?:.*\D)?(\d+)_keypoints\.json", re.DOTALL)
NPY_FRAME = re.compile(r"(?!\.)(?:.*\D)?(\d+)\.(?i:npy)", re.DOTALL)

# What numpy makes of a damaged .npy; its headers are Python, which it parses.
NPY_DAMAGE = (OSError, ValueError, EOFError, TypeError, tokenize.TokenError, SyntaxError, MemoryError, OverflowError)

# A folder that leaves out more than this share of its numbers holds picked frames, or times, one after another.
_MOST_LEFT_OUT = 0.9


def one_line(error: Exception) -> str:
    """What an error says, in one line and without what a terminal would obey: damaged files put anything into it."""
    return "".join(letter if letter.isprintable() else " " for letter in str(error))[:200]


def read_file(path: Path, most: int) -> bytes:
    """The content of a file of keypoints of at most `most` bytes.

    Raises:
        ClipError: it is larger, no plain file (to read from a pipe would wait for ever), or cannot be read.
    """
    if not path.is_file():
        raise ClipError(f"{path}: no plain file")
    try:
        return read_limited(path, most)
    except InputError as error:
        raise ClipError(error.message) from error


def kind_of(path: Path) -> str | None:
    """The kind of a clip's keypoints, one of `KINDS` or of the two folders; None for anything else."""
    if not path.is_dir():
        return KINDS.get(path.suffix.lower()) if path.is_file() else None
    with os.scandir(path) as entries:
        for entry in entries:
            if JSON_FRAME.fullmatch(entry.name):
                return JSON_FOLDER
            if NPY_FRAME.fullmatch(entry.name):
                return NPY_FOLDER if is_frame(Path(entry.path)) else None
    return None


def is_frame(path: Path) -> bool:
    """Whether a `.npy` holds one frame, (F,) or (N, 2 to 4), and not a clip."""
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version[0] == 1 else np.lib.format.read_array_header_2_0
            shape = read(file)[0]
    except NPY_DAMAGE:
        return False
    return len(shape) == 1 or (len(shape) == 2 and 2 <= shape[1] <= 4)


def frame_files(folder: Path, pattern: re.Pattern[str]) -> dict[int, Path]:
    """The files of a folder whose names match, by the number in the name, in its order.

    Raises:
        ClipError: two files have the same number.
    """
    files: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        if match := pattern.fullmatch(path.name):
            first = files.setdefault(int(match[1]), path)
            if first != path:
                raise ClipError(f"{folder}: {first.name} and {path.name} are both frame {int(match[1])}; remove one")
    return dict(sorted(files.items()))


def frame_places(numbers: Iterable[int]) -> tuple[dict[int, int], int]:
    """Frame of the clip for each number in a file's name, and how many frames the clip has.

    Numbers are frames, from 0, or from 1 where the lowest is 1. A number without a file is a frame in which nobody was
    found. Where 9 of 10 are without, the numbers are no frames, and the files follow one another.
    """
    ordered = sorted(numbers)
    first = 1 if ordered[0] == 1 else 0
    count = ordered[-1] + 1 - first
    if len(ordered) < count * (1 - _MOST_LEFT_OUT):
        return {number: place for place, number in enumerate(ordered)}, len(ordered)
    return {number: number - first for number in ordered}, count
