"""The paths that a user gives to `pipeline clips`: list files by their names, folders to look in, JSON."""

import json
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from shards.errors import InputError
from shards.files import read_limited


class Sources:
    """The files and folders given on the command line.

    Raises:
        InputError: one is not there.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        for path in paths:
            if not path.exists():
                raise InputError(f"{path}: no such file or folder")
        self.files = [path for path in paths if not path.is_dir()]
        self.folders = [path for path in paths if path.is_dir()]
        self.used: set[Path] = set()  # list files that were read, which --out must not overwrite

    def find(self, pattern: str) -> list[Path]:
        """Files whose whole names match a regular expression, in upper or lower case.

        Those that were given by name, else those in the given folders, one or two levels down, else those beside a
        given file. In the order of their names.
        """
        wanted = re.compile(pattern, re.IGNORECASE)
        beside = sorted({path.parent for path in self.files})
        for candidates in (self.files, self._below, (entry for folder in beside for entry in folder.iterdir())):
            found = [path for path in candidates if wanted.fullmatch(path.name) and path.is_file()]
            if found:
                self.used.update(found)
                return sorted(found, key=lambda path: (path.name, str(path)))
        return []

    @cached_property
    def _below(self) -> list[Path]:
        """The files in the given folders and in their folders, where lists lie (`splits/`); not in folders of clips."""
        lists = []
        for folder in self.folders:
            for entry in sorted(folder.iterdir()):
                if entry.is_dir() and not entry.name.startswith("."):
                    lists += [path for path in entry.iterdir() if path.suffix.lower() in (".csv", ".txt", ".json")]
                elif not entry.name.startswith("."):
                    lists.append(entry)
        return lists

    def need(self, pattern: str, what: str) -> list[Path]:
        """`find`, where there must be one; `what` says what to give.

        Raises:
            InputError: there is none.
        """
        found = self.find(pattern)
        if not found:
            where = ", ".join(str(path) for path in [*self.folders, *self.files])
            raise InputError(f"{where}: {what} is not there; give its path")
        return found

    def only(self, pattern: str, what: str) -> Path:
        """`need`, where there must be exactly one.

        Raises:
            InputError: there is none, or several.
        """
        found = self.need(pattern, what)
        if len(found) > 1:
            names = ", ".join(map(str, found))
            raise InputError(f"{found[0]}: {len(found)} files may be {what}: {names}; give the path of the one")
        return found[0]

    def clip_folders(self) -> list[Path]:
        """The given folders without those in another one, whose clips are found there."""
        real = [folder.resolve() for folder in self.folders]
        return [
            folder
            for place, folder in enumerate(self.folders)
            if real[place] not in real[:place] and not set(real) & set(real[place].parents)
        ]

    def roots(self, lists: Sequence[Path]) -> list[Path]:
        """The folders in which to look for clips: those given, else those of the lists (of `splits/` the one above)."""
        beside = [path.parent.parent if path.parent.name == "splits" else path.parent for path in lists]
        return list(dict.fromkeys(self.folders or beside))


def read_json(path: Path) -> Any:
    """The value in a JSON file in UTF-8.

    Raises:
        InputError: it is something else.
    """
    try:
        return json.loads(read_limited(path).decode("utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error})") from error


def read_lines(path: Path) -> list[str]:
    """The lines of a text file in UTF-8, stripped, without those that are blank.

    Raises:
        InputError: it is in another encoding.
    """
    try:
        text = read_limited(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: cannot be read as text ({error}); save it as UTF-8") from error
    return [line.strip() for line in text.splitlines() if line.strip()]
