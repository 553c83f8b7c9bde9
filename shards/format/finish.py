"""The end of a shard set: its indexes, then `dataset.json`, from where the members are in every sample."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from shards.format.dataset import Dataset, Shard
from shards.format.index import PLACE_COLUMNS, SCHEMA, write_index
from shards.format.sample import Layout

# The columns of an index row that say nothing of places, and the sample's layout.
Entry = tuple[dict[str, Any], Layout]


def index_rows(name: str, entries: Iterable[Entry]) -> Iterator[dict[str, Any]]:
    """The index rows of a shard whose samples stand one after another."""
    start = 0
    for about, layout in entries:
        row = dict.fromkeys(SCHEMA.names) | about | {"shard": name}
        for member, (offset, size) in layout.places.items():
            at, length = PLACE_COLUMNS[member]
            row[at], row[length] = start + offset, size
        yield row
        start += layout.extent


def finish(folder: Path, dataset: Dataset, shards: Iterable[tuple[str, Shard, Iterable[Entry]]]) -> Dataset:
    """Write the indexes of the shards in a folder, then `dataset.json`: `dataset` with these shards.

    Args:
        folder: of the shards.
        dataset: recipe, settings and classes.
        shards: (split, shard, samples) of each.
    """
    splits: dict[str, list[Shard]] = {}
    rows: dict[str, list[dict[str, Any]]] = {}
    for split, shard, entries in shards:
        splits.setdefault(split, []).append(shard)
        rows.setdefault(split, []).extend(index_rows(shard.name, entries))
    for split, split_rows in rows.items():
        write_index(folder / f"{split}.parquet", split_rows)
    dataset = replace(dataset, splits=splits)
    dataset.write(folder)
    return dataset
