"""Which sample of which shard goes where: the plan of `shards reshard`, made from indexes only."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shards.errors import InputError
from shards.format.dataset import Dataset, refuse_unlike
from shards.format.sample import DEPTH_MEMBERS, MEMBERS
from shards.format.shardset import ShardSet
from shards.format.tar import BLOCK, lay_out
from shards.format.writer import Extent, plan_split
from shards.remote.cache import CacheSettings
from shards.remote.localize import open_pattern

DROPPABLE = {"depth": DEPTH_MEMBERS, "pose": ("pose.npy",)}


@dataclass(frozen=True)
class Source:
    """A sample where it is now."""

    id: str
    split: str
    label: int | None
    signer: str
    frames: int
    extent: Extent
    sizes: dict[str, int]  # bytes by member
    shard_sha256: str  # of the shard it is in


@dataclass(frozen=True)
class Plan:
    """A new shard set; `shards` by file name."""

    dataset: Dataset  # recipe, settings and classes of the new set; no splits yet
    shards: dict[str, list[Source]]
    dropped: frozenset[str]  # members that are left out

    def fingerprint(self) -> str:
        """Of everything the new bytes depend on, as far as the sources' `dataset.json` vouch for theirs."""
        digest = hashlib.sha256(json.dumps([self.dataset.recipe.to_json(), self.dataset.settings]).encode())
        digest.update(json.dumps([self.dataset.classes, sorted(self.dropped)]).encode())
        for name, samples in self.shards.items():
            places = [[s.id, s.split, s.shard_sha256, s.extent.start, s.extent.size] for s in samples]
            digest.update(json.dumps([name, places]).encode())
        return digest.hexdigest()


def read_sources(patterns: Iterable[str], cache: CacheSettings) -> tuple[Dataset, list[Source]]:
    """The samples of one or more shard sets of one kind.

    Raises:
        InputError: sets of unlike recipe, settings or classes; an id that is in two places.
    """
    first: tuple[Path, Dataset] | None = None
    sources: dict[str, Source] = {}
    for pattern in patterns:
        shards = open_pattern(pattern, cache)
        here = shards.paths[0].parent, shards.dataset
        first = first or here
        refuse_unlike(*here, *first)
        for source in _sources(shards):
            if (other := sources.setdefault(source.id, source)) is not source:
                raise InputError(f"id {source.id} is in {other.extent.path} and in {source.extent.path}; leave one out")
    if first is None:
        raise InputError("--shards: give at least one shard set")
    return replace(first[1], splits={}), list(sources.values())


def _sources(shards: ShardSet) -> Iterable[Source]:
    ids, signers = shards.ids.to_pylist(), shards.signers.to_pylist()
    columns = (shards.shard, shards.labels, shards.frames, shards.offsets, shards.sizes)
    for sample_id, signer, *values in zip(ids, signers, *(column.tolist() for column in columns), strict=True):
        number, label, frames, offsets, sizes = values
        path = shards.paths[number]
        members = {name: size for name, size in zip(MEMBERS, sizes, strict=True) if size >= 0}
        start = offsets[0] - BLOCK
        layout = lay_out(members)
        if [start + place[0] for place in layout.places.values()] != [offset for offset in offsets if offset >= 0]:
            raise InputError(f"{path}: members of {sample_id} are not side by side in the index; `shards verify` it")
        yield Source(
            id=sample_id,
            split=shards.shard_splits[number],
            label=None if label < 0 else label,
            signer=signer,
            frames=frames,
            extent=Extent(path, start, layout.extent),
            sizes=members,
            shard_sha256=shards.shard_sums[number],
        )


def select(sources: list[Source], classes: set[int] | None, signers: set[str] | None) -> list[Source]:
    """The samples of these classes and signers; None: of all.

    Raises:
        InputError: a class or signer that no sample has, or nothing is left.
    """
    for option, wanted, there in (
        ("--classes", classes, {source.label for source in sources}),
        ("--signers", signers, {source.signer for source in sources}),
    ):
        if unknown := (wanted or set()) - there:
            raise InputError(f"{option}: no sample has {', '.join(sorted(map(str, unknown)))}")
    return _some_left(
        source
        for source in sources
        if (classes is None or source.label in classes) and (signers is None or source.signer in signers)
    )


def assign(sources: list[Source], assignment: Mapping[str, tuple[int | None, str]], path: Path) -> list[Source]:
    """The samples in the splits that an assignment (id: class and split) gives them; without a split they are left out.

    Raises:
        InputError: the assignment, read from `path`, has another class than a sample, or nothing is left.
    """
    chosen = []
    for source in sources:
        if source.id in assignment:
            label, split = assignment[source.id]
            if label is not None and label != source.label:
                raise InputError(
                    f"{path}: {source.id} has class {label}, but {source.label} in {source.extent.path}; here classes "
                    "stay as they are (`pipeline run --labels` changes them): give a CSV id,split"
                )
            chosen.append(replace(source, split=split))
    return _some_left(chosen)


def _some_left(sources: Iterable[Source]) -> list[Source]:
    if not (chosen := list(sources)):
        raise InputError("no sample is left; do the ids of --assign, --classes and --signers fit --shards?")
    return chosen


def make_plan(dataset: Dataset, sources: list[Source], samples_per_shard: int, drop: Iterable[str]) -> Plan:
    """The shards of the new set. `drop`: keys of `DROPPABLE`."""
    dropped = frozenset(member for name in drop for member in DROPPABLE[name])
    shards: dict[str, list[Source]] = {}
    for split in sorted({source.split for source in sources}):
        members = [source for source in sources if source.split == split]
        shards |= plan_split(split, members, lambda source: source.id, samples_per_shard)
    return Plan(dataset, shards, dropped)


def about(source: Source) -> dict[str, Any]:
    """The columns of a sample's index row that say nothing of places."""
    return {"id": source.id, "label": source.label, "signer": source.signer, "frames": source.frames}
