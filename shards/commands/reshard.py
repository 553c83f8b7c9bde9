"""`shards reshard`: another division of the same samples, by copying their bytes.

Threads, not processes: hashing, reading and writing let go of the interpreter, and processes would cost half a second.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from shards.command_line import print_line
from shards.commands.reshard_journal import Journal, Written, refuse_strangers
from shards.commands.reshard_plan import Plan, Source, about, assign, make_plan, new_sizes, read_sources, select
from shards.commands.split_plan import LabeledSamples, describe
from shards.errors import InputError
from shards.files import remove_leftovers
from shards.format.dataset import FILE_NAME, Shard, sha256_of
from shards.format.sample import DEPTH_MEMBERS, MEMBERS, info_from_json
from shards.format.tar import BLOCK, lay_out, padded, tar_header, tar_member
from shards.format.writer import Entry, Extent, Piece, finish, write_shard
from shards.lock import file_lock
from shards.names import is_utf8
from shards.progress import progress
from shards.tables import read_assignment


@dataclass(frozen=True)
class ReshardSettings:
    """The options of `shards reshard`, as typed."""

    shards: tuple[str, ...]
    out: Path
    assign: Path | None
    samples_per_shard: int
    classes: str | None
    signers: str | None
    drop: tuple[str, ...]
    jobs: int


def reshard_command(settings: ReshardSettings) -> None:
    """Plan, make the new shard set, and print what is in it.

    Raises:
        InputError: see `read_sources`, `select`, `assign` and `reshard`.
    """
    dataset, sources = read_sources(settings.shards)
    signers = None if settings.signers is None else {part.strip() for part in settings.signers.split(",")}
    chosen = select(sources, _classes(settings.classes), signers)
    if settings.assign:
        assignment = read_assignment(settings.assign)
        chosen = assign(chosen, assignment, settings.assign)
        if idle := len(assignment.keys() - {source.id for source in sources}):
            print_line(f"{settings.assign}: {idle} of its ids are not in the shards", err=True)
    if len(chosen) < len(sources):
        print_line(f"{len(sources) - len(chosen)} of {len(sources)} samples are left out", err=True)
    columns = zip(*((source.id, source.label, source.signer, source.split) for source in chosen), strict=True)
    ids, labels, names, splits = map(list, columns)
    for line in describe(LabeledSamples(ids, labels, names), splits):
        print_line(line, err=line.startswith("warning"))
    plan = make_plan(dataset, chosen, settings.samples_per_shard, settings.drop)
    outcome = reshard(plan, settings.out, settings.jobs)
    kept = f", {outcome.kept} were there already" if outcome.kept else ""
    shards = f"{outcome.written + outcome.kept} shards{kept}"
    print_line(f"{settings.out}: {shards}, {outcome.samples} samples, {outcome.bytes / 1e6:.1f} MB")


def _classes(text: str | None) -> set[int] | None:
    if text is None:
        return None
    try:
        return {int(part) for part in text.split(",")}
    except ValueError as error:
        raise InputError(f"--classes {text}: expected numbers of classes, as in 0,3") from error


class Outcome(NamedTuple):
    """What `reshard` did."""

    written: int  # shards
    kept: int  # shards that an earlier run had finished
    samples: int
    bytes: int


def reshard(plan: Plan, out: Path, jobs: int) -> Outcome:
    """Bring the folder `out` to the plan: shards, then indexes, then `dataset.json`. After a kill, run it again.

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
        finish(out, plan.dataset, _contents(plan, done))
    kept = sum(done[name] is journal.before.get(name) for name in done)
    made = [written.shard for written in done.values()]
    return Outcome(len(done) - kept, kept, sum(shard.samples for shard in made), sum(shard.bytes for shard in made))


def _make_all(plan: Plan, out: Path, journal: Journal, jobs: int) -> Iterator[tuple[str, Written]]:
    with ThreadPoolExecutor(jobs) as pool:
        futures = {
            pool.submit(_make, plan, out / name, samples, journal.before.get(name)): name
            for name, samples in plan.shards.items()
        }
        try:
            for future in progress(as_completed(futures), len(futures), "reshard", "shard"):
                written = future.result()
                journal.add(written)
                yield futures[future], written
        finally:
            pool.shutdown(cancel_futures=True)


def _make(plan: Plan, path: Path, samples: list[Source], before: Written | None) -> Written:
    """Write a shard, unless what an earlier run of this plan wrote is still there, byte for byte."""
    if before and path.is_file():
        found = Shard(path.name, len(samples), path.stat().st_size, sha256_of(path))
        if found == before.shard and len(before.json_sizes) == (len(samples) if plan.dropped else 0):
            return before
    json_sizes: list[int] = []
    shard = write_shard(path, (_pieces(sample, plan.dropped, json_sizes) for sample in samples))
    return Written(shard, tuple(json_sizes))


def _pieces(sample: Source, dropped: frozenset[str], json_sizes: list[int]) -> Extent | list[Piece]:
    """What is copied of a sample; appends the size of its JSON where members are dropped."""
    path, start, _ = sample.extent
    with path.open("rb") as file:
        file.seek(start)
        # A cheap look at where we are: an index of another run would have us copy rubbish.
        if file.read(BLOCK) != tar_header(sample.id, "json", sample.sizes["json"]):
            raise InputError(f"{path}: {sample.id} is not where the index says; `shards verify {path.parent}`")
        if not dropped:
            return sample.extent
        content = file.read(sample.sizes["json"])
    if dropped.intersection(sample.sizes, DEPTH_MEMBERS):
        content = _json_without_depth(path, sample.id, content)
    json_sizes.append(len(content))
    pieces: list[Piece] = [tar_member(sample.id, "json", content)]
    places = lay_out(sample.sizes).places
    for name in MEMBERS[1:]:
        if name in places and name not in dropped:
            offset, size = places[name]
            pieces.append(Extent(path, start + offset - BLOCK, BLOCK + padded(size)))
    return pieces


def _json_without_depth(path: Path, sample_id: str, content: bytes) -> bytes:
    """The JSON as it would have been made of a clip without depth."""
    try:
        info = info_from_json(content)
    except (KeyError, ValueError) as error:
        raise InputError(f"{path}: the json of {sample_id} is damaged ({error}); copy the shard again") from error
    hands = {name: replace(track, depth_jpegs=None) for name, track in info.hands.items()}
    return replace(info, hands=hands).to_json()


def _contents(plan: Plan, done: dict[str, Written]) -> Iterator[tuple[str, Shard, list[Entry]]]:
    """What the indexes tell of the new shards."""
    for name, samples in plan.shards.items():
        shard, json_sizes = done[name]
        sizes = [new_sizes(s, plan, size) for s, size in zip_longest(samples, json_sizes)]
        entries = [(about(s), lay_out(members)) for s, members in zip(samples, sizes, strict=True)]
        yield samples[0].split, shard, entries
