"""`shards list`: what a shard set holds, as a table or as JSON."""

import json
from collections import Counter
from collections.abc import Set
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from shards.command_line import print_line
from shards.format.dataset import Shard, index_name, read_dataset
from shards.format.hand_shares import HandShares, share_lines
from shards.format.index import PLACE_COLUMNS, counts_of, read_shard_rows
from shards.format.sample import HAND_COLUMNS
from shards.remote.cache import CacheSettings
from shards.remote.localize import local_folder
from shards.remote.urls import without_credentials


def collect(folder: Path, names: Set[str] | None = None) -> tuple[dict[str, Any], dict[str, HandShares]]:
    """The set's recipe, settings and classes, and per split: shards, samples, bytes, frames, classes, signers, hands.

    The second value has the hands of each split once more, sample by sample.

    Args:
        folder: of the set.
        names: of the shards to look at; None: all.

    Raises:
        InputError: there is no shard set, or an index cannot be read, or is of other shards.
    """
    dataset = read_dataset(folder).of_shards(folder, names)
    tables = {
        split: read_shard_rows(folder / index_name(split), shards, dataset.index_sums.get(split))
        for split, shards in sorted(dataset.splits.items())
    }
    hands = {split: _hands(table) for split, table in tables.items()}
    about: dict[str, Any] = {
        "recipe": dataset.recipe.name,
        "settings": dataset.settings,
        "classes": dataset.classes,
        "splits": {split: _split(dataset.splits[split], table) for split, table in tables.items()},
    }
    for split, shares in hands.items():
        about["splits"][split]["hands"] = {"samples": len(shares), **shares.totals()} if len(shares) else None
    return about, hands


def _split(shards: list[Shard], table: pa.Table) -> dict[str, Any]:
    labels = Counter(table["label"].to_pylist())
    frames = table["frames"].to_numpy()
    return {
        "shards": len(shards),
        "samples": sum(shard.samples for shard in shards),
        "bytes": sum(shard.bytes for shard in shards),
        "with_depth": _count(table, "left_depth.mjpg"),
        "without_video": len(table) - _count(table, "left.mjpg"),
        "unlabelled": labels.pop(None, 0),
        "frames": {"least": int(frames.min()), "median": float(np.median(frames)), "most": int(frames.max())},
        "classes": {str(label): labels[label] for label in sorted(labels)},
        "signers": dict(sorted(Counter(table["signer"].to_pylist()).items())),
    }


def _hands(table: pa.Table) -> HandShares:
    """Of the samples that say which hands were found."""
    known = table.filter(table[HAND_COLUMNS["left"][0]].is_valid())
    return HandShares(known["id"].to_pylist(), known["frames"].to_numpy(), counts_of(known))


def _count(table: pa.Table, member: str) -> int:
    """How many samples have a member."""
    places = table[PLACE_COLUMNS[member][0]]
    return len(places) - places.null_count


def list_command(pattern: str, as_json: bool, cache: CacheSettings) -> None:
    """Print what a shard set holds, as a table or as JSON (in ASCII: a terminal obeys some characters above it)."""
    folder, names = local_folder(pattern, cache, with_shards=False)
    found, hands = collect(folder, names)
    if as_json:
        for line in json.dumps(found, indent=1).splitlines():
            print_line(line)
        return
    settings = "".join(f", {key} {value}" for key, value in found["settings"].items())
    print_line(f"{without_credentials(pattern)}: recipe {found['recipe']}{settings}; {len(found['classes'])} classes")
    width = max(5, *map(len, found["splits"]))
    print_line(f"{'split':<{width}}  shards  samples         MB  classes  signers  with depth  frames")
    for name, split in found["splits"].items():
        frames = split["frames"]
        print_line(
            f"{name:<{width}}{split['shards']:>8}{split['samples']:>9}{split['bytes'] / 1e6:>11.1f}"
            f"{len(split['classes']):>9}{len(split['signers']):>9}{split['with_depth']:>12}"
            f"  {frames['least']} to {frames['most']}, median {frames['median']:g}"
        )
        for key, lack in (("unlabelled", "class"), ("without_video", "video")):
            if split[key]:
                print_line(f"  {split[key]} samples of {name} have no {lack}")
    for line in share_lines(hands):
        print_line(line)
