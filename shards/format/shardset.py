"""A shard set as a reader sees it: the samples that a PATTERN names, and their bytes by offset."""

import os
import resource
from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shards.errors import InputError
from shards.format.dataset import FILE_NAME, Dataset, Shard, index_name, read_dataset, refuse_unlike
from shards.format.index import PLACE_COLUMNS, counts_of, read_shard_rows
from shards.format.pattern import expand, whole_folders
from shards.format.recipe import joined
from shards.format.sample import MEMBERS

_OPEN_FILES = 64


@dataclass(frozen=True, repr=False)
class ShardSet:
    """N samples of one or more splits, in index order. Columns, not objects: 36,302 samples take about 5 MB."""

    dataset: Dataset
    source: str  # what the user typed, for errors; without credentials
    paths: list[Path]  # the shards
    shard_splits: list[str]  # the split of each shard
    shard_sums: list[str]  # the SHA-256 of each shard, as its `dataset.json` has it
    shard: np.ndarray  # int32 (N,): place in `paths`
    ids: pa.StringArray
    signers: pa.StringArray
    labels: np.ndarray  # int32 (N,): class; -1 where there is none
    frames: np.ndarray  # int32 (N,)
    offsets: np.ndarray  # int64 (N, len(MEMBERS)): in the shard; -1 where the sample has no such member
    sizes: np.ndarray  # int64 (N, len(MEMBERS))
    # int32 (N, 2, 2): by hand (`HANDS`) the numbers of frames in which it was guessed and missing; -1 where not known
    hands: np.ndarray

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def splits(self) -> np.ndarray:
        """str (N,): the split of every sample."""
        return np.array(self.shard_splits)[self.shard]

    def take(self, samples: np.ndarray) -> "ShardSet":
        """The samples at these places, int (N,), in this order, several times if wanted; or where bool (N,) is true."""
        places = np.arange(len(self))[samples]
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        arrays = {name: column[places] for name, column in columns.items() if isinstance(column, np.ndarray)}
        return replace(self, ids=self.ids.take(pa.array(places)), signers=self.signers.take(pa.array(places)), **arrays)

    def __repr__(self) -> str:
        splits = ", ".join(f"{split} {count}" for split, count in sorted(Counter(self.splits.tolist()).items()))
        return f"<ShardSet {self.source}: {len(self)} samples ({splits}), {len(self.dataset.classes)} classes>"

    def has(self, member: str) -> np.ndarray:
        """bool (N,): which samples have this member. Without video there is no `left.mjpg`."""
        return self.offsets[:, MEMBERS.index(member)] >= 0


def open_shards(patterns: str | Path | Iterable[str | Path]) -> ShardSet:
    """The samples of the shards that a PATTERN, or several together, name, as their indexes list them.

    See `shards.format.pattern.expand` for what a PATTERN is.

    Raises:
        InputError: a shard is missing, cut off, or unknown to the `dataset.json` beside it; folders of unlike recipe,
            settings or classes; an id that occurs twice; a class without a name; a sample beyond its shard's end.
    """
    typed = list(map(str, [patterns] if isinstance(patterns, str | Path) else patterns))
    if not typed:
        raise InputError("no PATTERN is given; name shards, or a folder of them")
    source = " ".join(typed)
    paths = [path for name in typed for path in expand(name)]
    if len(set(paths)) < len(paths):
        raise InputError(f"{source}: names a shard twice")
    datasets = {folder: read_dataset(folder) for folder in dict.fromkeys(path.parent for path in paths)}
    first, dataset = next(iter(datasets.items()))
    listed: dict[Path, tuple[str, Shard]] = {}
    for folder, here in datasets.items():
        refuse_unlike(folder, here, first, dataset)
        dataset = replace(dataset, recipe=joined(dataset.recipe, here.recipe))
        listed |= {folder / shard.name: (split, shard) for split, shards in here.splits.items() for shard in shards}
    _check_files(paths, listed, {path for name in typed for path in whole_folders(name)})
    table = pa.concat_tables([_rows(folder, here, paths, listed) for folder, here in datasets.items()])
    offsets, sizes = (
        np.stack([table[name].fill_null(-1).to_numpy() for name in names], axis=1)
        for names in zip(*PLACE_COLUMNS.values(), strict=True)
    )
    entries = [listed[path] for path in paths]
    found = ShardSet(
        dataset=dataset,
        source=source,
        paths=paths,
        shard_splits=[split for split, _ in entries],
        shard_sums=[entry.sha256 for _, entry in entries],
        shard=table["number"].to_numpy(),
        ids=table["id"].combine_chunks(),
        signers=table["signer"].combine_chunks(),
        labels=table["label"].fill_null(-1).to_numpy(),
        frames=table["frames"].to_numpy(),
        offsets=offsets,
        sizes=sizes,
        hands=counts_of(table),
    )
    _check_ids(found)
    _check_places(found, np.array([entry.bytes for _, entry in entries]))
    return found


def files_of(shards: ShardSet) -> list[Path]:
    """The files that a shard set is read from."""
    folders = dict.fromkeys(path.parent for path in shards.paths)
    indexes = [path for folder in folders for path in folder.glob("*.parquet")]
    return [*shards.paths, *indexes, *(folder / FILE_NAME for folder in folders)]


def _check_files(paths: list[Path], listed: dict[Path, tuple[str, Shard]], whole: set[Path]) -> None:
    """Make sure that the shards are those that were listed, and in `whole` folders all of them."""
    for path in paths:
        if path not in listed:
            raise InputError(f"{path}: not in {FILE_NAME} beside it; it does not belong to this shard set")
        size, expected = path.stat().st_size, listed[path][1].bytes
        if size != expected:
            raise InputError(f"{path}: {size} bytes, but {FILE_NAME} says {expected}; copy it again")
    for path in listed.keys() - set(paths):
        if path.parent in whole:
            raise InputError(
                f"{path}: not found, but in {FILE_NAME}; copy it again, or name those here: {path.parent}/*.tar"
            )


def _rows(folder: Path, dataset: Dataset, paths: list[Path], listed: dict[Path, tuple[str, Shard]]) -> pa.Table:
    """The index rows of those of the shards that are in a folder, with the shard's number in `paths`."""
    splits: dict[str, dict[str, int]] = {}  # split: file name: number
    for number, path in enumerate(paths):
        if path.parent == folder:
            splits.setdefault(listed[path][0], {})[path.name] = number
    tables = []
    for split, numbers in splits.items():
        shards = [listed[folder / name][1] for name in numbers]
        table = read_shard_rows(folder / index_name(split), shards, dataset.index_sums.get(split))
        place = pc.index_in(table["shard"], pa.array(list(numbers)))
        tables.append(table.append_column("number", pa.chunked_array([np.array([*numbers.values()], np.int32)[place]])))
    table = pa.concat_tables(tables)
    largest, classes = pc.max(table["label"]).as_py(), len(dataset.classes)
    if largest is not None and largest >= classes:
        raise InputError(
            f"{folder}: has samples of class {largest}, but {FILE_NAME} names {classes} classes; copy or make it again"
        )
    return table


def _check_ids(shards: ShardSet) -> None:
    counts = pc.value_counts(shards.ids)
    doubles = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(doubles):
        sample_id = doubles[0]["values"]
        one, other = np.flatnonzero(pc.equal(shards.ids, sample_id).to_numpy(zero_copy_only=False))[:2]
        paths = shards.paths[shards.shard[one]], shards.paths[shards.shard[other]]
        raise InputError(f"id {sample_id} is in {paths[0]} and in {paths[1]}; leave one out")


def _check_places(shards: ShardSet, shard_bytes: np.ndarray) -> None:
    """Make sure that no member is said to lie beyond the end of its shard."""
    room = shard_bytes[shards.shard][:, None] - shards.offsets  # no sum, which could overflow
    beyond = np.flatnonzero((shards.sizes > room).any(axis=1))
    if len(beyond):
        path, sample_id = shards.paths[shards.shard[beyond[0]]], shards.ids[beyond[0]]
        raise InputError(f"{path}: ends before {sample_id} does in the index; `shards verify {path.parent}`")


class MemberReader:
    """Reads members by offset; keeps a bounded number of shards open. One per process."""

    def __init__(self, shards: ShardSet) -> None:
        self._shards = shards
        self._files: OrderedDict[int, int] = OrderedDict()  # shard: file descriptor, the last used at the end
        # A user may have few (`ulimit -n`); the rest is for pipes and the like.
        self._most = max(1, min(_OPEN_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4))
        self._memory = memoryview(bytearray(1 << 20))  # what `span` hands out
        self._used = 0

    def read(self, sample: int, member: int, start: int = 0, size: int | None = None) -> bytes:
        """`size` bytes (default: all) of member number `member` (in `MEMBERS`) of sample number `sample`, from `start`.

        Raises:
            InputError: when the sample has no such member, or the shard ends before these bytes.
        """
        file, offset, size = self._byte_range(sample, member, start, size)
        data = os.pread(file, size, offset)
        self._check(sample, len(data), size)
        return data

    def span(self, sample: int, member: int, start: int = 0, size: int | None = None) -> memoryview:
        """Like `read`, but into memory that `forget` hands out again.

        Fresh memory for every read would cost more than the reads (0.4 of 1.05 ms for a sample with depth).
        """
        file, offset, size = self._byte_range(sample, member, start, size)
        data = self._room(size)
        self._check(sample, os.preadv(file, [data], offset), size)
        return data

    def forget(self) -> None:
        """Let the next `span` write where earlier ones did."""
        self._used = 0

    def close(self) -> None:
        """Close the shards; reading again opens them again."""
        while self._files:
            os.close(self._files.popitem()[1])

    def _byte_range(self, sample: int, member: int, start: int, size: int | None) -> tuple[int, int, int]:
        """The open shard of a sample, and the offset and size of what to read there."""
        shards, offset = self._shards, int(self._shards.offsets[sample, member])
        if offset < 0:
            path = shards.paths[shards.shard[sample]]
            raise InputError(f"{path}: {shards.ids[sample]} has no {MEMBERS[member]}; take shards that have it")
        size = int(shards.sizes[sample, member]) - start if size is None else size
        return self._file(int(shards.shard[sample])), offset + start, size

    def _file(self, shard: int) -> int:
        if shard in self._files:
            self._files.move_to_end(shard)
        else:
            if len(self._files) >= self._most:
                os.close(self._files.popitem(last=False)[1])
            self._files[shard] = os.open(self._shards.paths[shard], os.O_RDONLY)
        return self._files[shard]

    def _room(self, size: int) -> memoryview:
        if self._used + size > len(self._memory):
            # What has been handed out stays where it is.
            self._memory, self._used = memoryview(bytearray(2 * len(self._memory) + size)), 0
        end = self._used + size
        data = self._memory[self._used : end]
        self._used = end
        return data

    def _check(self, sample: int, got: int, size: int) -> None:
        if got != size:
            path = self._shards.paths[self._shards.shard[sample]]
            raise InputError(f"{path}: ends inside {self._shards.ids[sample]}; copy it again")
