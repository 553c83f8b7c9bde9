"""`dataset.json`: what a folder of shards is. Written last; readers trust only it and the indexes it names."""

import hashlib
import json
import os
import re
from collections.abc import Collection, Set
from dataclasses import asdict, dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import orjson

from shards.errors import InputError
from shards.files import write_whole
from shards.format.pattern import tars_in
from shards.format.recipe import Recipe, recipe_from_json
from shards.names import is_split_name, is_utf8

FILE_NAME = "dataset.json"
FORMAT = "signshards-1"
SAMPLES_PER_SHARD = 256  # unless a user wants another number
_SHA256 = re.compile("[0-9a-f]{64}")
_SHARD_NAME = re.compile(r"(.+)-\d{3,}\.tar", re.ASCII)


@dataclass(frozen=True)
class Shard:
    """One tar, as it was written."""

    name: str
    samples: int
    bytes: int
    sha256: str


@dataclass(frozen=True, repr=False)
class Dataset:
    """A shard set: several splits made with one recipe and one estimator.

    `settings` say how it was made: estimator, crop quality, …; two sets can be merged when recipe and settings are
    equal.
    """

    recipe: Recipe
    settings: dict[str, Any]
    classes: list[str]  # names; the place in the list is the class
    splits: dict[str, list[Shard]] = field(default_factory=dict)
    index_sums: dict[str, str] = field(default_factory=dict)  # SHA-256 of a split's index; of earlier sets not known

    def of_shards(self, folder: Path, names: Set[str] | None) -> "Dataset":
        """The set without the shards that have other names; `folder` is named in errors. None: all of it.

        Raises:
            InputError: one is not in the set.
        """
        if names is None:
            return self
        known = {shard.name for shards in self.splits.values() for shard in shards}
        if unknown := names - known:
            raise InputError(f"{folder / min(unknown)}: not in {FILE_NAME} beside it; it does not belong to this set")
        kept = {split: [one for one in shards if one.name in names] for split, shards in self.splits.items()}
        return replace(self, splits={split: shards for split, shards in kept.items() if shards})

    def __repr__(self) -> str:
        splits = ", ".join(f"{split} {sum(one.samples for one in shards)}" for split, shards in self.splits.items())
        return f"<Dataset of recipe {self.recipe.name}, {len(self.classes)} classes: {splits}>"

    def write(self, folder: Path) -> None:
        """Write `dataset.json` into the folder of the shards."""
        sums = {split: {"index_sha256": sha256} for split, sha256 in self.index_sums.items()}
        value = {
            "format": FORMAT,
            "recipe": self.recipe.to_json(),
            "settings": self.settings,
            "classes": self.classes,
            "splits": {
                split: {"index": index_name(split), **sums.get(split, {}), "shards": [*map(asdict, shards)]}
                for split, shards in sorted(self.splits.items())
            },
        }
        value["sha256"] = content_sum(orjson.loads(json.dumps(value)))
        write_whole(folder / FILE_NAME, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode())


def content_sum(value: dict[str, Any]) -> str:
    """The SHA-256 that a `dataset.json` has under `sha256`: of its other keys, as `docs/format.md` says.

    Of the values and not of the bytes, so that a file that was only laid out anew (indented, other line ends) is
    still right.

    Args:
        value: the object, as JSON gives it.
    """
    others = {key: part for key, part in value.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()


def index_name(split: str) -> str:
    """The file name of a split's index."""
    return f"{split}.parquet"


def read_dataset(folder: Path) -> Dataset:
    """The shard set in a folder.

    Raises:
        InputError: when there is none, or it is not whole, or of another version, or was changed after it was written,
            or the folder's name is not UTF-8.
    """
    path = folder / FILE_NAME
    if not is_utf8(real := os.path.realpath(folder)):
        raise InputError(f"{real!r}: its name is not UTF-8; rename it")
    try:
        # orjson refuses what json takes and no reader could use: nesting without end, numbers without end, surrogates.
        value = orjson.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{path}: not found ({_absence(folder)})") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); run the shards stage again") from error
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise InputError(f"{path}: not of format {FORMAT}; run the shards stage again")
    try:
        splits = {split: _split(split, entry) for split, entry in value["splits"].items()}
        if not splits:
            raise TypeError("it lists no shards")
        dataset = Dataset(
            recipe_from_json(value["recipe"], str(path)),
            _typed(value["settings"], dict, "settings is not an object"),
            _class_names(value["classes"]),
            splits,
            _index_sums(value["splits"]),
        )
        changed = "sha256" in value and value["sha256"] != content_sum(value)  # sets of earlier versions have none
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: a part is missing or wrong ({error}); run the shards stage again") from error
    if changed:
        raise InputError(
            f"{path}: changed after it was written (its sha256 is of other content); copy it or run the shards stage "
            "again, or remove the key sha256 if you changed it on purpose"
        )
    return dataset


def _absence(folder: Path) -> str:
    """Why a folder has no `dataset.json`."""
    if not folder.is_dir():
        return (
            "no such folder" if not folder.exists() else f"{folder.name} is a file, and no shard; give a folder or tars"
        )
    strange = next((path.name for path in tars_in(folder) if not _SHARD_NAME.fullmatch(path.name)), None)
    if strange:
        return f"{strange} is no shard, rather a sample on its way into one; a workspace's shards are in its shards/"
    return "it is written last, so the shards stage has not finished here"


def _split(split: str, entry: dict[str, Any]) -> list[Shard]:
    """The shards of a split; TypeError where something is not as readers rely on it. Names become paths: none may lead
    out of the folder."""
    if not is_split_name(split):
        raise TypeError(f"{split!r} cannot name a split")
    if entry["index"] != index_name(split):
        raise TypeError(f"{entry['index']!r} cannot name the index of {split}")
    shards = [Shard(**shard) for shard in entry["shards"]]
    if not shards:
        raise TypeError(f"{split} lists no shards")
    for shard in shards:
        name = _SHARD_NAME.fullmatch(_typed(shard.name, str, f"a name of {split}"))
        if name is None or name.group(1) != split:
            raise TypeError(f"{shard.name!r} cannot name a shard of {split}")
        fault = f"samples, bytes or sha256 of {shard.name}"
        least = min(_typed(shard.samples, int, fault), _typed(shard.bytes, int, fault))
        if least < 1 or not _SHA256.fullmatch(_typed(shard.sha256, str, fault)):
            raise TypeError(fault)
    if len({shard.name for shard in shards}) < len(shards):
        raise TypeError(f"{split} lists a shard twice")
    return shards


def _index_sums(splits: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {
        split: _typed(entry["index_sha256"], str, f"index_sha256 of {split}")
        for split, entry in splits.items()
        if "index_sha256" in entry
    }


def _class_names(value: Any) -> list[str]:
    fault = "classes is not a list of names"
    return [_typed(name, str, fault) for name in _typed(value, list, fault)]


def _typed(value: Any, kind: type, fault: str) -> Any:
    """The value; TypeError(fault) where it is not of this very type (a bool is no int)."""
    if type(value) is not kind:
        raise TypeError(fault)
    return value


def refuse_unlike(
    folder: Path, dataset: Dataset, first_folder: Path, first: Dataset, unlike: Collection[str] = ()
) -> None:
    """Make sure that the sets of two folders are of one kind, so that they may be taken together.

    Args:
        folder: of the shards.
        dataset: what its `dataset.json` says.
        first_folder: that of the other set.
        first: likewise.
        unlike: parts that may differ: "settings", "classes".

    Raises:
        InputError: their recipes, settings or classes differ.
    """
    for part, way_out in _WAYS_OUT.items():
        if part not in unlike and (difference := _difference(getattr(dataset, part), getattr(first, part))):
            raise InputError(f"{folder}: its {part} differ from those of {first_folder}: {difference}; {way_out}")


_WAYS_OUT = {
    "recipe": "take shards of one recipe only",
    "settings": "take shards of one kind only, or `shards reshard --allow-unlike settings` makes one set of both",
    "classes": "take shards of the same classes, or `shards reshard --merge-classes` joins them by name",
}


def _difference(here: Any, there: Any) -> str:
    """What is different between two recipes, settings or lists of classes; "" where nothing is."""
    if isinstance(here, list):
        pairs = zip_longest(here, there, fillvalue="not there")
        named: Any = ((f"class {number}", *pair) for number, pair in enumerate(pairs))
    else:
        # Recipes of one name go together, see `shards.format.recipe.joined`.
        one, other = (value if isinstance(value, dict) else {"name": value.name} for value in (here, there))
        named = ((name, one.get(name), other.get(name)) for name in dict.fromkeys((*other, *one)))
    return next((f"{name} is {mine!r}, there {theirs!r}" for name, mine, theirs in named if mine != theirs), "")


def sha256_of(path: Path) -> str:
    """The file's SHA-256, as hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
