"""What a reshard has finished, so that a killed run can go on: `.reshard.jsonl` in the new folder."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from shards.errors import InputError
from shards.files import open_no_link, write_whole
from shards.format.dataset import Shard

FILE_NAME = ".reshard.jsonl"


class Journal:
    """Finished shards of one plan: a first line with its fingerprint, then one line per shard.

    It stays when all is done, so that the same command a second time finds nothing to do.
    """

    def __init__(self, folder: Path, plan: str) -> None:
        """Begin, or go on with the same plan.

        Raises:
            InputError: the folder holds another plan's shards, or any that no plan tells of, or the journal is a link.
        """
        self._path = folder / FILE_NAME
        self.before: dict[str, Shard] = {}  # by file name, from earlier runs
        refuse_strangers(folder)
        if self._path.is_symlink():
            raise InputError(f"{self._path}: is a link, to a file that may be another's; remove it")
        if self._path.exists():
            self._read(plan)
        # Written anew without the half line that a kill may have left.
        lines = [{"plan": plan}, *map(_to_json, self.before.values())]
        write_whole(self._path, "".join(json.dumps(line) + "\n" for line in lines).encode())

    def _read(self, plan: str) -> None:
        first, *lines = self._path.read_bytes().splitlines() or [b""]
        # It was written whole, so a damaged one is not that of a killed run.
        if _parsed(first) != {"plan": plan}:
            raise InputError(
                f"{self._path.parent}: a reshard with other options or sources was begun here; "
                "run it again with those, or give --out a new folder"
            )
        for value in map(_parsed, lines):
            try:
                shard = Shard(**value["shard"])
            except (KeyError, TypeError):
                continue  # the half line that a kill may have left
            self.before[shard.name] = shard

    def add(self, shard: Shard) -> None:
        """Note that a shard is finished."""
        if self.before.get(shard.name) != shard:
            with open(self._path, "a", opener=open_no_link) as file:
                file.write(json.dumps(_to_json(shard)) + "\n")


def refuse_strangers(folder: Path) -> None:
    """InputError where a folder holds shards or the like, and no journal tells of a plan for them."""
    if (folder / FILE_NAME).exists():
        return
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    if found := next((name for name in names if name.endswith((".tar", ".parquet", ".json"))), None):
        raise InputError(f"{folder}: holds {found} already; give --out a new folder")


def _parsed(line: bytes) -> Any:
    """A line of the journal, None where it is none."""
    try:
        return json.loads(line)
    except ValueError:
        return None


def _to_json(shard: Shard) -> dict[str, object]:
    return {"shard": asdict(shard)}
