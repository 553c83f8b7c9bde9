"""`shards reshard`: another division of the same samples, by copying their bytes.

Threads, not processes: hashing, reading and writing let go of the interpreter, and processes would cost half a second.
"""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

from shards.command_line import print_line
from shards.commands.reshard_classes import most_frequent, renumbered, wanted_classes
from shards.commands.reshard_journal import Journal, refuse_strangers
from shards.commands.reshard_plan import Plan, SourceSample, about, assign, make_plan, read_sources, select
from shards.commands.split_plan import LabeledSamples, describe
from shards.errors import InputError
from shards.files import remove_leftovers
from shards.format.assignment import read_assignment
from shards.format.dataset import FILE_NAME, Dataset, Shard, sha256_of
from shards.format.sample import DEPTH_MEMBERS, info_from_json
from shards.format.tar import BLOCK, lay_out, padded, tar_header, tar_member
from shards.format.writer import Extent, IndexEntry, Piece, finish, write_shard
from shards.lock import file_lock
from shards.names import is_utf8
from shards.progress import progress
from shards.remote.cache import CacheSettings


@dataclass(frozen=True)
class ReshardSettings:
    """The options of `shards reshard`, as typed."""

    shards: tuple[str, ...]
    out: Path
    assign: Path | None
    samples_per_shard: int
    only_classes: str | None
    most_frequent: int | None
    renumber: bool
    merge_classes: bool
    allow_unlike: tuple[str, ...]
    signers: str | None
    drop: tuple[str, ...]
    jobs: int
    cache: CacheSettings


def reshard_command(settings: ReshardSettings) -> None:
    """Plan, make the new shard set, and print what is in it.

    Raises:
        InputError: see `read_sources`, `select`, `assign` and `reshard`.
    """
    unlike = [*settings.allow_unlike, *(["classes"] if settings.merge_classes else [])]
    dataset, sources = read_sources(settings.shards, settings.cache, unlike)
    chosen = _chosen(dataset, sources, settings)
    if settings.renumber:
        dataset, chosen = renumbered(dataset, chosen)
    if len(chosen) < len(sources):
        print_line(f"{len(sources) - len(chosen)} of {len(sources)} samples are left out", err=True)
    columns = zip(*((source.id, source.label, source.signer, source.split) for source in chosen), strict=True)
    ids, labels, names, splits = map(list, columns)
    for line in describe(LabeledSamples(ids, labels, names), splits):
        print_line(line, err=line.startswith("warning"))
    plan = make_plan(dataset, chosen, settings.samples_per_shard, settings.drop)
    shards, kept = reshard(plan, settings.out, settings.jobs)
    before = f", {kept} were there already" if kept else ""
    size = sum(shard.bytes for shard in shards) / 1e6
    print_line(f"{settings.out}: {len(shards)} shards{before}, {len(chosen)} samples, {size:.1f} MB")


def _chosen(dataset: Dataset, sources: list[SourceSample], settings: ReshardSettings) -> list[SourceSample]:
    """The samples of the new set, in its splits."""
    if settings.only_classes is not None and settings.most_frequent:
        raise InputError("--only-classes and --most-frequent both say which classes are taken: give one of the two")
    classes = None if settings.only_classes is None else wanted_classes(settings.only_classes, dataset.classes)
    signers = None if settings.signers is None else {part.strip() for part in settings.signers.split(",")}
    if settings.most_frequent:
        classes = most_frequent(sources, settings.most_frequent)
    chosen = select(sources, classes, signers)
    if settings.assign:
        assignment = read_assignment(settings.assign)
        chosen = assign(chosen, assignment, settings.assign)
        if idle := len(assignment.keys() - {source.id for source in sources}):
            print_line(f"{settings.assign}: {idle} of its ids are not in the shards", err=True)
    return chosen


def reshard(plan: Plan, out: Path, jobs: int) -> tuple[list[Shard], int]:
    """Bring the folder `out` to the plan: shards, then indexes, then `dataset.json`. After a kill, run it again.

    Returns:
        The shards, and how many of them an earlier run had finished.

    Raises:
        InputError: the folder holds something else, another process works on it, or its name is not UTF-8; a source is
            not what its index says.
    """
    sources = {sample.extent.path.parent for samples in plan.shards.values() for sample in samples}
    if out.resolve() in sources:
        raise InputError(f"{out}: is one of the folders to be read, and they stay as they are; give another --out")
    if not is_utf8(os.path.realpath(out)):
        raise InputError(f"{str(out)!r}: its name is not UTF-8; rename it, or give another --out")
    out.mkdir(parents=True, exist_ok=True)
    refuse_strangers(out)  # before a lock file lies among what is theirs
    with file_lock(out / ".lock", "these shards"):
        journal = Journal(out, plan.fingerprint())
        (out / FILE_NAME).unlink(missing_ok=True)
        remove_leftovers(out)
        done = dict(_make_all(plan, out, journal, jobs))
        # In the order of the plan, whichever was finished first.
        finish(out, plan.dataset, ((samples[0].split, *done[name]) for name, samples in plan.shards.items()))
    made = [shard for shard, _ in done.values()]
    return made, sum(shard is journal.before.get(shard.name) for shard in made)


def _make_all(
    plan: Plan, out: Path, journal: Journal, jobs: int
) -> Iterator[tuple[str, tuple[Shard, list[IndexEntry]]]]:
    with ThreadPoolExecutor(jobs) as pool:
        futures = {
            pool.submit(_make, plan, out / name, samples, journal.before.get(name)): name
            for name, samples in plan.shards.items()
        }
        try:
            for future in progress(as_completed(futures), len(futures), "reshard", "shard"):
                shard, entries = future.result()
                journal.add(shard)
                yield futures[future], (shard, entries)
        finally:
            pool.shutdown(cancel_futures=True)


def _make(plan: Plan, path: Path, samples: list[SourceSample], before: Shard | None) -> tuple[Shard, list[IndexEntry]]:
    """Write a shard, unless what an earlier run of this plan wrote is still there, byte for byte.

    Returns the shard and what its index rows say.
    """
    entries: list[IndexEntry] = []
    pieces = (_pieces(sample, plan.dropped, entries) for sample in samples)
    if before and path.is_file():
        found = Shard(path.name, len(samples), path.stat().st_size, sha256_of(path))
        if found == before:
            deque(pieces, maxlen=0)  # only for the entries
            return before, entries
    return write_shard(path, pieces), entries


def _pieces(sample: SourceSample, dropped: frozenset[str], entries: list[IndexEntry]) -> Extent | list[Piece]:
    """What is copied of a sample; appends what its index row says."""
    path, start, _ = sample.extent
    with path.open("rb") as file:
        file.seek(start)
        # A cheap look at where we are: an index of another run would have us copy rubbish.
        if file.read(BLOCK) != tar_header(sample.id, "json", sample.sizes["json"]):
            raise InputError(f"{path}: {sample.id} is not where the index says; `shards verify {path.parent}`")
        layout = lay_out(sample.sizes)
        left = {name: size for name, (_, size) in layout.places.items() if name not in dropped}
        if len(left) == len(sample.sizes) and sample.label == sample.stored_label:
            entries.append((about(sample), layout))
            return sample.extent
        content = file.read(sample.sizes["json"])
    if dropped.intersection(sample.sizes, DEPTH_MEMBERS) or sample.label != sample.stored_label:
        content = _new_json(sample, content, without_depth=not dropped.isdisjoint(DEPTH_MEMBERS))
    entries.append((about(sample), lay_out(left | {"json": len(content)})))
    pieces: list[Piece] = [tar_member(sample.id, "json", content)]
    for name, size in left.items():
        if name != "json":
            pieces.append(Extent(path, start + layout.places[name][0] - BLOCK, BLOCK + padded(size)))
    return pieces


def _new_json(sample: SourceSample, content: bytes, without_depth: bool) -> bytes:
    """The JSON as it would have been made of a clip of the new class, and of one without depth."""
    try:
        info = info_from_json(content)
    except (KeyError, ValueError) as error:
        path = sample.extent.path
        raise InputError(f"{path}: the json of {sample.id} is damaged ({error}); copy the shard again") from error
    if without_depth:
        info = replace(info, hands={name: replace(track, depth_jpegs=None) for name, track in info.hands.items()})
    return replace(info, label=sample.label).to_json()
