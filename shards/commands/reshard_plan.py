"""Which sample of which shard goes where: the plan of `shards reshard`, made from indexes only."""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shards.body135 import HANDS
from shards.errors import InputError
from shards.format.dataset import Dataset, refuse_unlike
from shards.format.recipe import joined
from shards.format.sample import DEPTH_MEMBERS, HAND_COLUMNS, MEMBERS
from shards.format.shardset import ShardSet
from shards.format.tar import BLOCK, lay_out
from shards.format.writer import Extent, plan_split
from shards.remote.cache import CacheSettings
from shards.remote.localize import open_patterns

DROPPABLE = {"depth": DEPTH_MEMBERS, "pose": ("pose.npy",)}


@dataclass(frozen=True)
class SourceSample:
    """A sample where it is now."""

    id: str
    split: str
    label: int | None  # in the new set
    signer: str
    frames: int
    extent: Extent
    sizes: dict[str, int]  # bytes by member
    shard_sha256: str  # of the shard it is in
    stored_label: int | None  # in its JSON, as it is now
    hands: list[list[int]]  # as in `ShardSet`


@dataclass(frozen=True)
class Plan:
    """A new shard set; `shards` by file name."""

    dataset: Dataset  # recipe, settings and classes of the new set; no splits yet
    shards: dict[str, list[SourceSample]]
    dropped: frozenset[str]  # members that are left out

    def fingerprint(self) -> str:
        """Of everything the new bytes depend on, as far as the sources' `dataset.json` vouch for theirs."""
        digest = hashlib.sha256(json.dumps([self.dataset.recipe.to_json(), self.dataset.settings]).encode())
        digest.update(json.dumps([self.dataset.classes, sorted(self.dropped)]).encode())
        for name, samples in self.shards.items():
            places = [_place(sample) for sample in samples]
            digest.update(json.dumps([name, places]).encode())
        return digest.hexdigest()


def _place(sample: SourceSample) -> list[Any]:
    """What the bytes of a sample in the new set depend on."""
    place = [sample.id, sample.split, sample.shard_sha256, sample.extent.start, sample.extent.size]
    return place if sample.label == sample.stored_label else [*place, sample.label]


def read_sources(
    patterns: Iterable[str], cache: CacheSettings, unlike: Collection[str] = ()
) -> tuple[Dataset, list[SourceSample]]:
    """The samples of one or more shard sets of one kind.

    Args:
        patterns: of the sets.
        cache: for those of URLs.
        unlike: what may differ: "settings", of which the new set then has a list of both values, or "classes", which
            are then joined by their names.

    Raises:
        InputError: sets of unlike recipe, settings or classes; an id that is in two places.
    """
    first: tuple[Path, Dataset] | None = None
    sources: dict[str, SourceSample] = {}
    for pattern in patterns:
        shards = open_patterns(pattern, cache)
        folder, dataset = shards.paths[0].parent, shards.dataset
        first = first or (folder, dataset)
        refuse_unlike(folder, dataset, *first, unlike)
        classes, numbers = first[1].classes, list(range(len(dataset.classes)))
        if dataset.classes != classes:
            classes, numbers = joined_by_name(classes, dataset.classes)
        recipe, settings = joined(first[1].recipe, dataset.recipe), _both(first[1].settings, dataset.settings)
        first = first[0], replace(first[1], recipe=recipe, settings=settings, classes=classes)
        for source in _sources(shards, numbers):
            if (other := sources.setdefault(source.id, source)) is not source:
                raise InputError(f"id {source.id} is in {other.extent.path} and in {source.extent.path}; leave one out")
    if first is None:
        raise InputError("--shards: give at least one shard set")
    return replace(first[1], splits={}), list(sources.values())


def _both(settings: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    """The settings of two sets; where they differ, the list of their values."""
    merged = dict(settings)
    for name in others.keys() | settings.keys():
        if settings.get(name) != others.get(name):
            here = settings.get(name)
            known: list[Any] = here if isinstance(here, list) else [here]
            merged[name] = known if others.get(name) in known else [*known, others.get(name)]
    return merged


def joined_by_name(names: list[str], others: Sequence[str]) -> tuple[list[str], list[int]]:
    """The class names of two sets together, and the new number of each of the second set's classes.

    Names that both have are one class; the first set's classes keep their numbers.

    Raises:
        InputError: names that are only numbers, or one that a set has twice: these do not say which signs are the same.
    """
    for one in (names, others):
        if one and all(name.isdigit() for name in one):
            raise InputError("--merge-classes: the classes of a set have numbers for names; make it with --classes CSV")
        if twice := [name for name, count in Counter(one).items() if count > 1]:
            raise InputError(f"--merge-classes: two classes of one set are named {twice[0]!r}; merge by hand")
    joined = [*names, *(name for name in others if name not in names)]
    place = {name: number for number, name in enumerate(joined)}
    return joined, [place[name] for name in others]


def _sources(shards: ShardSet, classes: Sequence[int]) -> Iterable[SourceSample]:
    """The samples of a set; `classes`: the new number of each of its classes."""
    ids, signers = shards.ids.to_pylist(), shards.signers.to_pylist()
    columns = (shards.shard, shards.labels, shards.frames, shards.offsets, shards.sizes, shards.hands)
    for sample_id, signer, *values in zip(ids, signers, *(column.tolist() for column in columns), strict=True):
        number, label, frames, offsets, sizes, hands = values
        path = shards.paths[number]
        members = {name: size for name, size in zip(MEMBERS, sizes, strict=True) if size >= 0}
        start = offsets[0] - BLOCK
        layout = lay_out(members)
        if [start + place[0] for place in layout.places.values()] != [offset for offset in offsets if offset >= 0]:
            raise InputError(f"{path}: members of {sample_id} are not side by side in the index; `shards verify` it")
        yield SourceSample(
            id=sample_id,
            split=shards.shard_splits[number],
            label=None if label < 0 else classes[label],
            signer=signer,
            frames=frames,
            extent=Extent(path, start, layout.extent),
            sizes=members,
            shard_sha256=shards.shard_sums[number],
            stored_label=None if label < 0 else label,
            hands=hands,
        )


def select(sources: list[SourceSample], classes: set[int] | None, signers: set[str] | None) -> list[SourceSample]:
    """The samples of these classes and signers; None: of all.

    Raises:
        InputError: a class or signer that no sample has, or nothing is left.
    """
    for option, wanted, there in (
        ("--only-classes", classes, {source.label for source in sources}),
        ("--signers", signers, {source.signer for source in sources}),
    ):
        if unknown := (wanted or set()) - there:
            raise InputError(f"{option}: no sample has {', '.join(sorted(map(str, unknown)))}")
    return _some_left(
        source
        for source in sources
        if (classes is None or source.label in classes) and (signers is None or source.signer in signers)
    )


def assign(
    sources: list[SourceSample], assignment: Mapping[str, tuple[int | None, str]], path: Path
) -> list[SourceSample]:
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


def _some_left(sources: Iterable[SourceSample]) -> list[SourceSample]:
    if not (chosen := list(sources)):
        raise InputError("no sample is left; do the ids of --assign, --only-classes and --signers fit --shards?")
    return chosen


def make_plan(dataset: Dataset, sources: list[SourceSample], samples_per_shard: int, drop: Iterable[str]) -> Plan:
    """The shards of the new set. `drop`: keys of `DROPPABLE`."""
    dropped = frozenset(member for name in drop for member in DROPPABLE[name])
    shards: dict[str, list[SourceSample]] = {}
    for split in sorted({source.split for source in sources}):
        members = [source for source in sources if source.split == split]
        shards |= plan_split(split, members, lambda source: source.id, samples_per_shard)
    return Plan(dataset, shards, dropped)


def about(source: SourceSample) -> dict[str, Any]:
    """The columns of a sample's index row that say nothing of places."""
    columns = {"id": source.id, "label": source.label, "signer": source.signer, "frames": source.frames}
    for hand, counts in zip(HANDS, source.hands, strict=True):
        if min(counts) >= 0:
            columns |= dict(zip(HAND_COLUMNS[hand], counts, strict=True))
    return columns
