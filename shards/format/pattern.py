"""PATTERNs: braces, angle brackets, globs and folders that name shards, or other files."""

import glob
import itertools
import os
import re
from collections.abc import Iterable
from pathlib import Path

from shards.errors import InputError

# ruff: noqa: PTH110, PTH112 (Path's own raise an error where a list in braces is too long for the name of a file)
_RANGE = re.compile(r"[{<](\d+)\.\.(\d+)[}>]")
_LIST = re.compile(r"\{([^{}]*,[^{}]*)\}")


def expand(pattern: str) -> list[Path]:
    """The tars that a pattern names, in its order, each in the real path of its folder.

    `train-{000..099}.tar` and `train-<000..099>.tar` count, with the zeros of the first number; `{a,b}` lists; `*`, `?`
    and `[…]` match the file system, sorted; a folder means every tar in it. Files and folders that exist under their
    very names are meant, whatever braces or brackets are in these.

    Raises:
        InputError: when a part of the pattern names no file, or two name the same.
    """
    if not pattern.strip():
        raise InputError("an empty PATTERN names no shards")
    paths: list[Path] = []
    for name in expand_braces(pattern):
        is_folder = Path(name).is_dir()  # raises for a name too long, which is then said
        found = tars_in(Path(name)) if is_folder else _matches(name)
        if not found:
            hint = " (the folder has no .tar)" if is_folder else ""
            raise InputError(f"{name}: no such shard{hint}; --shards takes a folder, a glob, or train-{{000..099}}.tar")
        if folder := next((path for path in found if path.is_dir()), None):
            hint = "move it away" if folder.suffix == ".tar" else f"a glob names shards, such as {name}/*.tar"
            raise InputError(f"{folder}: is a folder; {hint}")
        if strange := next((path for path in found if path.suffix != ".tar"), None):
            raise InputError(
                f"{strange}: is no shard, whose name ends in .tar; --shards takes a folder, a glob or tars"
            )
        # Not the tars' own links: git-annex, DVC and download caches keep the bytes elsewhere, without a dataset.json.
        paths.extend(path.parent.resolve() / path.name for path in found)
    if len(set(paths)) < len(paths):
        raise InputError(f"{pattern}: names a shard twice")
    return paths


def expand_files(names: Iterable[str | Path], in_folders: str = "") -> list[Path]:
    """The files, or folders, that names and patterns stand for, in their order, those of a glob sorted.

    Patterns are those of `expand`, and what exists under its very name is no pattern. A name without a pattern is taken
    as it is, whether it exists or not: it is for the command to say what is wrong with it.

    Args:
        names: as they were typed.
        in_folders: suffix of the files that a folder stands for, such as ".npz"; without it, a folder stays a folder.

    Raises:
        InputError: a part of a pattern names nothing, or a folder has no such files.
    """
    paths: list[Path] = []
    for name in map(str, names):
        for part in expand_braces(name):
            found = _matches(part) or ([Path(part)] if part == name and not glob.has_magic(part) else [])
            if not found:
                raise InputError(f"{part}: names no file; give another pattern")
            paths.extend(file for path in found for file in _inside(path, in_folders))
    return paths


def whole_folders(pattern: str) -> list[Path]:
    """The real paths of the folders that a pattern names, every shard of which is meant."""
    return [Path(name).resolve() for name in expand_braces(pattern) if os.path.isdir(name)]


def folder_and_names(pattern: str) -> tuple[Path, set[str] | None]:
    """The folder that a pattern names, and None; or the one in which its shards lie, and their names.

    Raises:
        InputError: see `expand`; or the shards lie in several folders.
    """
    if os.path.isdir(pattern) or (not set(pattern) & set("*?[{<") and not pattern.endswith(".tar")):
        return Path(pattern), None
    paths = expand(pattern)
    folders = sorted({path.parent for path in paths})
    if len(folders) > 1:
        raise InputError(f"{pattern}: shards of {len(folders)} folders; give those of one folder at a time")
    return folders[0], {path.name for path in paths}


def tars_in(folder: Path) -> list[Path]:
    """The tars in a folder, sorted; names with a dot in front are none (macOS leaves `._train-000.tar`)."""
    return sorted(path for path in folder.glob("*.tar") if not path.name.startswith("."))


def _matches(name: str) -> list[Path]:
    """What exists under a name or, where nothing does, matches it as a glob."""
    there = _existing(name)
    return [Path(found) for found in sorted(glob.glob(glob.escape(there) + name[len(there) :]))]


def _inside(path: Path, suffix: str) -> list[Path]:
    """The files with a suffix in a folder, sorted; without a suffix, or where it is no folder, the path itself."""
    if not suffix or not path.is_dir():
        return [path]
    files = sorted(file for file in path.glob(f"*{suffix}") if not file.name.startswith("."))
    if not files:
        raise InputError(f"{path}: the folder has no {suffix} file; give files, or a glob")
    return files


def _existing(text: str) -> str:
    """The longest beginning of a path, all of it or up to a slash, that exists under this very name."""
    ends = [len(text), *(match.start() for match in re.finditer("/", text))]
    return max((text[:end] for end in ends if os.path.exists(text[:end])), key=len, default="")


def expand_braces(text: str) -> list[str]:
    """The texts that the braces in `text` stand for, in their order; those of a path that exists are its own."""
    position = len(_existing(text))
    choices: list[list[str]] = [[text[:position]]]
    for match in re.compile(f"{_RANGE.pattern}|{_LIST.pattern}").finditer(text, position):
        choices.append([text[position : match.start()]])
        first, last, names = match.groups()
        choices.append(_numbers(first, last) if names is None else names.split(","))
        position = match.end()
    choices.append([text[position:]])
    return ["".join(parts) for parts in itertools.product(*choices)]


def _numbers(first: str, last: str) -> list[str]:
    if int(last) < int(first):
        raise InputError(f"{first}..{last}: the range runs backwards")
    return [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]
