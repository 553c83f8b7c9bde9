"""`shards list`: what a shard set holds, as a table or as JSON."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import click
import numpy as np

from shards.errors import InputError
from shards.format.dataset import Dataset, read_dataset
from shards.format.index import read_index
from shards.format.sample import DEPTH_MEMBERS


def collect(folder: Path) -> dict[str, Any]:
    """The set's recipe, settings and classes, and per split: shards, samples, bytes, frames, classes, signers.

    Raises:
        InputError: there is no shard set, or an index cannot be read.
    """
    dataset = read_dataset(folder)
    return {
        "recipe": dataset.recipe.name,
        "settings": dataset.settings,
        "classes": dataset.classes,
        "splits": {split: _split(folder, dataset, split) for split in sorted(dataset.splits)},
    }


def _split(folder: Path, dataset: Dataset, split: str) -> dict[str, Any]:
    table = read_index(folder / f"{split}.parquet")
    if not len(table):
        raise InputError(f"{folder / split}.parquet: lists no samples; `shards verify {folder}`")
    shards = dataset.splits[split]
    labels = Counter(table["label"].to_pylist())
    depth = table[f"{DEPTH_MEMBERS[0].partition('.')[0]}_offset"]
    frames = table["frames"].to_numpy()
    return {
        "shards": len(shards),
        "samples": sum(shard.samples for shard in shards),
        "bytes": sum(shard.bytes for shard in shards),
        "with_depth": len(depth) - depth.null_count,
        "unlabelled": labels.pop(None, 0),
        "frames": {"least": int(frames.min()), "median": float(np.median(frames)), "most": int(frames.max())},
        "classes": {str(label): labels[label] for label in sorted(labels)},
        "signers": dict(sorted(Counter(table["signer"].to_pylist()).items())),
    }


def show(folder: Path, as_json: bool) -> None:
    """Print it."""
    found = collect(folder)
    if as_json:
        click.echo(json.dumps(found, indent=1, ensure_ascii=False))
        return
    settings = "".join(f", {key} {value}" for key, value in found["settings"].items())
    click.echo(f"{folder}: recipe {found['recipe']}{settings}; {len(found['classes'])} classes")
    width = max(5, *map(len, found["splits"]))
    click.echo(f"{'split':<{width}}  shards  samples         MB  classes  signers  with depth  frames")
    for name, split in found["splits"].items():
        frames = split["frames"]
        click.echo(
            f"{name:<{width}}{split['shards']:>8}{split['samples']:>9}{split['bytes'] / 1e6:>11.1f}"
            f"{len(split['classes']):>9}{len(split['signers']):>9}{split['with_depth']:>12}"
            f"  {frames['least']} to {frames['most']}, median {frames['median']:g}"
        )
        if split["unlabelled"]:
            click.echo(f"  {split['unlabelled']} samples of {name} have no class")
