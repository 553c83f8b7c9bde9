"""`dataset.json`: what a folder of shards is. Written last; readers trust only it and the indexes it names."""

import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from shards.errors import InputError
from shards.files import write_whole
from shards.format.recipe import Recipe, recipe_from_json
from shards.names import is_split_name, is_utf8

FILE_NAME = "dataset.json"
FORMAT = "signshards-1"


@dataclass(frozen=True)
class Shard:
    """One tar, as it was written."""

    name: str
    samples: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Dataset:
    """A shard set: several splits made with one recipe and one estimator.

    `settings` say how it was made: estimator, crop quality, …; two sets can be merged when recipe and settings are
    equal.
    """

    recipe: Recipe
    settings: dict[str, Any]
    classes: list[str]  # names; the place in the list is the class
    splits: dict[str, list[Shard]] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write `dataset.json` into the folder of the shards."""
        value = {
            "format": FORMAT,
            "recipe": self.recipe.to_json(),
            "settings": self.settings,
            "classes": self.classes,
            "splits": {
                split: {"index": f"{split}.parquet", "shards": [asdict(shard) for shard in shards]}
                for split, shards in sorted(self.splits.items())
            },
        }
        write_whole(folder / FILE_NAME, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode())


def read_dataset(folder: Path) -> Dataset:
    """The shard set in a folder.

    Raises:
        InputError: when there is none, or it is not whole, or of another version, or the folder's name is not UTF-8.
    """
    path = folder / FILE_NAME
    if not is_utf8(real := os.path.realpath(folder)):
        raise InputError(f"{real!r}: its name is not UTF-8; rename it")
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        hint = "it is written last, so the shards stage has not finished here" if folder.is_dir() else "no such folder"
        raise InputError(f"{path}: not found ({hint})") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); run the shards stage again") from error
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise InputError(f"{path}: not of format {FORMAT}; run the shards stage again")
    try:
        splits = {split: [Shard(**shard) for shard in entry["shards"]] for split, entry in value["splits"].items()}
        _check_names(path, splits)
        dataset = Dataset(recipe_from_json(value["recipe"], str(path)), value["settings"], value["classes"], splits)
        _check_types(dataset)
        return dataset
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: a part is missing or wrong ({error}); run the shards stage again") from error


def _check_types(dataset: Dataset) -> None:
    """TypeError where a part is not of the type that readers rely on."""
    if not isinstance(dataset.settings, dict):
        raise TypeError("settings is not an object")
    if not isinstance(dataset.classes, list) or not all(isinstance(name, str) for name in dataset.classes):
        raise TypeError("classes is not a list of names")
    for shard in (shard for shards in dataset.splits.values() for shard in shards):
        if [type(shard.samples), type(shard.bytes), type(shard.sha256)] != [int, int, str]:
            raise TypeError(f"samples, bytes or sha256 of {shard.name}")


def refuse_unlike(folder: Path, dataset: Dataset, first_folder: Path, first: Dataset) -> None:
    """Make sure that the sets of two folders are of one kind, so that they may be taken together.

    Raises:
        InputError: their recipes, settings or classes differ.
    """
    for part in ("recipe", "settings", "classes"):
        if getattr(dataset, part) != getattr(first, part):
            raise InputError(f"{folder}: its {part} differ from those of {first_folder}; take shards of one kind only")


def _check_names(path: Path, splits: dict[str, list[Shard]]) -> None:
    """Names become paths: none may lead out of the folder."""
    if not splits or not all(splits.values()):
        raise InputError(f"{path}: lists no shards, or a split without any; run the shards stage again")
    for split, shards in splits.items():
        if not is_split_name(split):
            raise InputError(f"{path}: {split!r} cannot name a split; run the shards stage again")
        for shard in shards:
            if not re.fullmatch(re.escape(split) + r"-\d{3,}\.tar", shard.name, re.ASCII):
                raise InputError(f"{path}: {shard.name!r} cannot name a shard of {split}; run the shards stage again")


def sha256_of(path: Path) -> str:
    """The file's SHA-256, as hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
