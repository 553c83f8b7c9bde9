"""Writing a shard set: which sample goes where, tars by copying bytes, indexes, and `dataset.json` last."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from shards.errors import InputError
from shards.files import whole_file
from shards.format.dataset import Dataset, Shard, index_name
from shards.format.index import PLACE_COLUMNS, SCHEMA, write_index
from shards.format.tar import TarLayout, end_of_archive

Item = TypeVar("Item")

# Stays in the second-level cache between reading, hashing and writing.
_CHUNK = 1 << 18


class Extent(NamedTuple):
    """The bytes of one sample's members (or of some of them), headers included, inside a tar."""

    path: Path
    start: int
    size: int


Piece = Extent | bytes  # bytes: members that are new
# The columns of an index row that say nothing of places, and the sample's layout.
IndexEntry = tuple[dict[str, Any], TarLayout]


def write_shard(path: Path, samples: Iterable[Extent | Sequence[Piece]]) -> Shard:
    """Write the samples one after another as a tar, whole or not at all; the same samples give the same bytes.

    Args:
        path: of the shard.
        samples: each an extent, or a list of pieces that make up a sample.

    Raises:
        InputError: a source ends before its extent does.
    """
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(_CHUNK))
    count = total = 0
    with whole_file(path) as temporary, temporary.open("wb") as out:
        for sample in samples:
            for piece in [sample] if isinstance(sample, Extent) else sample:
                for chunk in [piece] if isinstance(piece, bytes) else _chunks(piece, buffer):
                    # hashlib and write both let other threads run meanwhile, so threads over shards are parallel.
                    digest.update(chunk)
                    out.write(chunk)
                    total += len(chunk)
            count += 1
        padding = end_of_archive(total)
        digest.update(padding)
        out.write(padding)
    return Shard(path.name, count, total + len(padding), digest.hexdigest())


def _chunks(extent: Extent, buffer: memoryview) -> Iterator[memoryview]:
    """The bytes of an extent, each time in the same buffer."""
    file = os.open(extent.path, os.O_RDONLY)
    try:
        position, left = extent.start, extent.size
        while left:
            got = os.preadv(file, [buffer[: min(left, len(buffer))]], position)
            if not got:
                raise InputError(f"{extent.path}: ends {left} bytes early; verify or copy it again")
            yield buffer[:got]
            position, left = position + got, left - got
    finally:
        os.close(file)


def shard_order(sample_id: str) -> bytes:
    """The sort key of samples within a split: a hash, so that a sequential reader meets classes and signers mixed."""
    return hashlib.sha256(sample_id.encode()).digest()


def plan_split(
    split: str, items: Iterable[Item], id_of: Callable[[Item], str], samples_per_shard: int
) -> dict[str, list[Item]]:
    """The shards of a split by file name (`train-000.tar`, …): its samples in hash order, cut into pieces."""
    ordered = sorted(items, key=lambda item: shard_order(id_of(item)))
    pieces = [ordered[start : start + samples_per_shard] for start in range(0, len(ordered), samples_per_shard)]
    # Names of one length, so that a folder listing has the shards in order.
    digits = max(3, len(str(len(pieces) - 1)))
    return {f"{split}-{number:0{digits}d}.tar": piece for number, piece in enumerate(pieces)}


def index_rows(name: str, entries: Iterable[IndexEntry]) -> Iterator[dict[str, Any]]:
    """The index rows of a shard whose samples stand one after another."""
    start = 0
    for about, layout in entries:
        row = dict.fromkeys(SCHEMA.names) | about | {"shard": name}
        for member, (offset, size) in layout.places.items():
            row.update(zip(PLACE_COLUMNS[member], (start + offset, size), strict=True))
        yield row
        start += layout.extent


def finish(folder: Path, dataset: Dataset, shards: Iterable[tuple[str, Shard, Iterable[IndexEntry]]]) -> Dataset:
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
    sums = {split: write_index(folder / index_name(split), split_rows) for split, split_rows in rows.items()}
    dataset = replace(dataset, splits=splits, index_sums=sums)
    dataset.write(folder)
    return dataset
