"""A shard set as a reader sees it: the samples that a PATTERN names, and their bytes by offset."""

import os
from collections import OrderedDict
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shards.errors import InputError
from shards.format.dataset import FILE_NAME, Dataset, read_dataset, refuse_unlike
from shards.format.index import PLACE_COLUMNS, read_index
from shards.format.pattern import expand, whole_folders
from shards.format.sample import MEMBERS

_OPEN_FILES = 64


@dataclass(frozen=True)
class ShardSet:
    """N samples of one or more splits, in index order. Columns, not objects: 36,302 samples take about 5 MB."""

    dataset: Dataset
    source: str  # what the user typed, for errors
    paths: list[Path]  # the shards
    shard: np.ndarray  # int32 (N,): place in `paths`
    ids: pa.StringArray
    signers: pa.StringArray
    labels: np.ndarray  # int32 (N,): class; -1 where there is none
    frames: np.ndarray  # int32 (N,)
    offsets: np.ndarray  # int64 (N, len(MEMBERS)): in the shard; -1 where the sample has no such member
    sizes: np.ndarray  # int64 (N, len(MEMBERS))

    def __len__(self) -> int:
        return len(self.frames)

    def has(self, member: str) -> np.ndarray:
        """bool (N,): which samples have this member."""
        return self.offsets[:, MEMBERS.index(member)] >= 0


def open_shards(pattern: str) -> ShardSet:
    """The samples of the shards that `pattern` names (see `shards.format.pattern.expand`), as their indexes list them.

    Raises:
        InputError: a shard is missing, cut off, or unknown to the `dataset.json` beside it; folders of unlike recipe,
            settings or classes; an id that is in two folders; a class without a name.
    """
    paths = expand(pattern)
    datasets = {folder: read_dataset(folder) for folder in dict.fromkeys(path.parent for path in paths)}
    for folder in whole_folders(pattern):
        _refuse_missing(folder, datasets[folder], paths)
    first, dataset = next(iter(datasets.items()))
    tables = []
    for folder, here in datasets.items():
        refuse_unlike(folder, here, first, dataset)
        tables.append(_rows(folder, here, [path.name for path in paths if path.parent == folder]))
    table = pa.concat_tables(tables)
    if not len(table):
        raise InputError(f"{pattern}: these shards hold no samples")
    if len(datasets) > 1:  # the writers of a folder see to it that no id is in there twice
        _refuse_doubles(table)
    place = {str(path): number for number, path in enumerate(paths)}
    return ShardSet(
        dataset,
        pattern,
        paths,
        np.array([place[path] for path in table["path"].to_pylist()], np.int32),
        table["id"].combine_chunks(),
        table["signer"].combine_chunks(),
        table["label"].fill_null(-1).to_numpy().astype(np.int32),
        table["frames"].to_numpy().astype(np.int32),
        *(
            np.stack([table[name].fill_null(-1).to_numpy() for name in names], axis=1)
            for names in zip(*PLACE_COLUMNS.values(), strict=True)
        ),
    )


def files_of(shards: ShardSet) -> list[Path]:
    """The files that a shard set is read from."""
    folders = dict.fromkeys(path.parent for path in shards.paths)
    indexes = [path for folder in folders for path in folder.glob("*.parquet")]
    return [*shards.paths, *indexes, *(folder / FILE_NAME for folder in folders)]


def _refuse_missing(folder: Path, dataset: Dataset, paths: list[Path]) -> None:
    here = set(paths)
    for shard in chain.from_iterable(dataset.splits.values()):
        if (path := folder / shard.name) not in here:
            raise InputError(
                f"{path}: not found, but in {FILE_NAME}; copy it again, or name those here: {folder}/*.tar"
            )


def _rows(folder: Path, dataset: Dataset, names: list[str]) -> pa.Table:
    """The index rows of the named shards of a folder, with their path, after a look at each file's size."""
    known = {shard.name: (split, shard) for split, shards in dataset.splits.items() for shard in shards}
    for name in names:
        if name not in known:
            raise InputError(f"{folder / name}: not in {FILE_NAME} beside it; it does not belong to this shard set")
        size = (folder / name).stat().st_size
        if size != known[name][1].bytes:
            raise InputError(
                f"{folder / name}: {size} bytes, but {FILE_NAME} says {known[name][1].bytes}; copy it again"
            )
    tables = []
    for split in dict.fromkeys(known[name][0] for name in names):
        table = read_index(folder / f"{split}.parquet")
        wanted = [name for name in names if known[name][0] == split]
        tables.append(table.filter(pc.is_in(table["shard"], pa.array(wanted))))
    table = pa.concat_tables(tables)
    expected = sum(known[name][1].samples for name in names)
    if len(table) != expected:
        raise InputError(f"{folder}: its index lists {len(table)} samples for these shards, {FILE_NAME} {expected}")
    largest = pc.max(table["label"]).as_py()
    if largest is not None and largest >= len(dataset.classes):
        raise InputError(
            f"{folder}: has samples of class {largest}, but {FILE_NAME} names {len(dataset.classes)} classes; "
            "copy or make it again"
        )
    return table.append_column("path", pa.array([str(folder / name) for name in table["shard"].to_pylist()]))


def _refuse_doubles(table: pa.Table) -> None:
    counts = pc.value_counts(table["id"])
    doubles = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(doubles):
        sample_id = doubles[0]["values"].as_py()
        one, other = table.filter(pc.equal(table["id"], sample_id))["path"].to_pylist()[:2]
        raise InputError(f"id {sample_id} is in {one} and in {other}; leave one out")


class MemberReader:
    """Reads members by offset; keeps a bounded number of shards open. One per process."""

    def __init__(self, shards: ShardSet) -> None:
        self._shards = shards
        self._files: OrderedDict[int, int] = OrderedDict()
        self._arena = memoryview(bytearray(1 << 20))
        self._used = 0

    def read(self, sample: int, member: int, start: int = 0, size: int | None = None) -> bytes:
        """`size` bytes (default: all) of member number `member` (in `MEMBERS`) of sample number `sample`, from `start`.

        Raises:
            InputError: when the shard ends before them.
        """
        size = int(self._shards.sizes[sample, member]) - start if size is None else size
        shards = self._shards
        file, offset = self._file(int(shards.shard[sample])), int(shards.offsets[sample, member]) + start
        data = os.pread(file, size, offset)
        self._check(sample, len(data), size)
        return data

    def span(self, sample: int, member: int, start: int = 0, size: int | None = None) -> memoryview:
        """Like `read`, but into memory that `forget` hands out again.

        Fresh memory for every read would cost more than the reads (0.4 of 1.05 ms for a sample with depth).
        """
        size = int(self._shards.sizes[sample, member]) - start if size is None else size
        data = self._room(size)
        shards = self._shards
        file, offset = self._file(int(shards.shard[sample])), int(shards.offsets[sample, member]) + start
        self._check(sample, os.preadv(file, [data], offset), size)
        return data

    def forget(self) -> None:
        """Let the next `span` write where earlier ones did."""
        self._used = 0

    def _room(self, size: int) -> memoryview:
        if self._used + size > len(self._arena):
            # What has been handed out stays in the old arena.
            self._arena, self._used = memoryview(bytearray(2 * len(self._arena) + size)), 0
        end = self._used + size
        data = self._arena[self._used : end]
        self._used = end
        return data

    def _check(self, sample: int, got: int, size: int) -> None:
        if got != size:
            shards = self._shards
            raise InputError(f"{shards.paths[shards.shard[sample]]}: ends inside {shards.ids[sample]}; copy it again")

    def _file(self, shard: int) -> int:
        if shard in self._files:
            self._files.move_to_end(shard)
        else:
            if len(self._files) >= _OPEN_FILES:
                os.close(self._files.popitem(last=False)[1])
            self._files[shard] = os.open(self._shards.paths[shard], os.O_RDONLY)
        return self._files[shard]

    def close(self) -> None:
        """Close the shards; reading again opens them again."""
        while self._files:
            os.close(self._files.popitem()[1])
