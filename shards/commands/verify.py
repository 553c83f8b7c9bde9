"""`shards verify`: does a shard set hold what its `dataset.json` and its indexes say?

Quick: every file is there, of the right size, and its tar headers and JSON members are those of the index. Full: the
bytes are those that were written (SHA-256), and every member is what the format says.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Set
from pathlib import Path
from typing import Any, NamedTuple

from shards.command_line import print_line
from shards.commands.contents import content_faults
from shards.errors import InputError
from shards.format.dataset import FILE_NAME, Dataset, Shard, index_name, read_dataset, sha256_of
from shards.format.index import CHANGED, PLACE_COLUMNS, read_index, scan_shard
from shards.format.pattern import tars_in
from shards.format.tar import padded
from shards.progress import progress
from shards.remote.cache import CacheSettings
from shards.remote.localize import local_folder
from shards.remote.urls import without_credentials
from shards.workers import in_workers

# A broken shard can have a fault per frame; the first ones tell what happened.
_FAULTS_PER_SHARD = 10
FAULTS_FOUND = 3  # exit status


class VerifyResult(NamedTuple):
    """What `verify` found."""

    shards: int
    samples: int
    bytes: int
    faults: list[str]  # one line each, each naming a file


def verify_command(pattern: str, full: bool, jobs: int, cache: CacheSettings) -> int:
    """Check a shard set, or some shards of one, and print what was found; returns the exit status."""
    folder, names = local_folder(pattern, cache)
    report = verify(folder, full, jobs, names)
    for fault in report.faults:
        print_line(fault)
    name = without_credentials(pattern)
    what = f"{report.shards} shards, {report.samples} samples, {report.bytes / 1e6:.1f} MB"
    if report.faults:
        print_line(f"{name}: {len(report.faults)} faults in {what}", err=True)
        return FAULTS_FOUND
    print_line(f"{name}: all right: {what}" + ("" if full else " (contents not read: --full does)"))
    return 0


def verify(folder: Path, full: bool, jobs: int, names: Set[str] | None = None) -> VerifyResult:
    """Check the shard set in a folder, or only the shards of some names.

    Raises:
        InputError: there is no `dataset.json` that can be read.
        OneLineError: a worker process was killed.
    """
    dataset = read_dataset(folder)
    faults, rows = _indexes(folder, dataset)
    faults += _strangers(folder, dataset) if names is None else []
    faults += _doubles(folder, rows)
    shards = [shard for split in dataset.of_shards(folder, names).splits.values() for shard in split]
    classes = len(dataset.classes) if full else None
    # Processes cost half a second to start; a few shards are looked at sooner here.
    jobs = min(jobs, len(shards)) if full or len(shards) > 8 else 1
    found = in_workers(shard_faults, ((folder, shard, rows.get(shard.name), classes) for shard in shards), jobs)
    for one in progress(found, len(shards), "verify", "shard"):
        faults += one
    return VerifyResult(
        len(shards), sum(shard.samples for shard in shards), sum(shard.bytes for shard in shards), faults
    )


def _indexes(folder: Path, dataset: Dataset) -> tuple[list[str], dict[str, list[dict[str, Any]]]]:
    """Faults of the indexes, and the rows by shard; a shard whose index cannot be read is not in there."""
    faults: list[str] = []
    rows: dict[str, list[dict[str, Any]]] = {}
    for split, shards in dataset.splits.items():
        path = folder / index_name(split)
        try:
            table = read_index(path).to_pylist()
        except InputError as error:
            faults.append(error.message)
            continue
        # The rows are compared all the same: they show what was changed.
        if dataset.index_sums.get(split, own_sum := sha256_of(path)) != own_sum:
            faults.append(f"{path}: {CHANGED}")
        faults += [f"{path}: {fault}" for fault in _class_faults(table, len(dataset.classes))]
        rows |= {shard.name: [] for shard in shards}
        names = {shard.name for shard in shards}
        for row in table:
            if row["shard"] in names:
                rows[row["shard"]].append(row)
        if unknown := {row["shard"] for row in table} - names:
            faults.append(
                f"{path}: lists samples of {min(unknown)}, which is no shard of {split} in {FILE_NAME}; "
                "is it the index of another run?"
            )
    return faults, rows


def _class_faults(rows: list[dict[str, Any]], classes: int) -> Iterator[str]:
    strange = [row for row in rows if row["label"] is not None and not 0 <= row["label"] < classes]
    if strange:
        row = strange[0]
        yield f"{row['id']} has class {row['label']}, but {FILE_NAME} names {classes} classes; is it of another run?"


def _strangers(folder: Path, dataset: Dataset) -> list[str]:
    known = {shard.name for shards in dataset.splits.values() for shard in shards}
    strange = [path for path in tars_in(folder) if path.name not in known]
    return [f"{path}: not in {FILE_NAME}; it does not belong to this shard set" for path in strange]


def _doubles(folder: Path, rows: dict[str, list[dict[str, Any]]]) -> list[str]:
    counts = Counter(row["id"] for shard in rows.values() for row in shard)
    return [f"{folder}: id {key} is in the indexes {count} times" for key, count in counts.items() if count > 1]


def shard_faults(folder: Path, shard: Shard, rows: list[dict[str, Any]] | None, classes: int | None) -> list[str]:
    """The faults of one shard; `rows` are its rows in the index, `classes` is given for a full check."""
    path = folder / shard.name
    if not path.is_file():
        return [f"{path}: missing; copy it again"]
    faults = []
    if path.stat().st_size != shard.bytes:
        faults.append(f"{path}: {path.stat().st_size} bytes, but {FILE_NAME} says {shard.bytes}; copy it again")
    try:
        scanned = scan_shard(path)
    except InputError as error:
        return [*faults, error.message]
    if len(scanned) != shard.samples:
        faults.append(f"{path}: {len(scanned)} samples, but {FILE_NAME} says {shard.samples}; copy it again")
    if rows is not None and scanned != rows:
        faults.append(f"{path}: {_difference(scanned, rows)}")
    if classes is not None:
        faults += _full_faults(path, shard, scanned, classes)
    if len(faults) > _FAULTS_PER_SHARD:
        faults[_FAULTS_PER_SHARD:] = [f"{path}: and {len(faults) - _FAULTS_PER_SHARD} more faults"]
    return faults


def _difference(scanned: list[dict[str, Any]], rows: list[dict[str, Any]]) -> str:
    for here, there in zip(scanned, rows, strict=False):
        for key, value in here.items():
            if value != there[key]:
                return (
                    f"sample {here['id']} has {key} {value}, in the index {there[key]}; "
                    "is the shard or the index of another run, or under another's name?"
                )
    return f"{len(scanned)} samples, in the index {len(rows)}; is the shard or the index of another run?"


def _full_faults(path: Path, shard: Shard, rows: list[dict[str, Any]], classes: int) -> Iterator[str]:
    """One pass over the bytes of a shard whose headers are right: hash them, and look into every sample."""
    digest = hashlib.sha256()
    position = 0
    with path.open("rb") as file:
        for row in rows:
            places = {
                name: (row[start], row[size]) for name, (start, size) in PLACE_COLUMNS.items() if row[start] is not None
            }
            data = file.read(max(offset + padded(size) for offset, size in places.values()) - position)
            digest.update(data)
            view = memoryview(data)
            members = {
                name: view[offset - position : offset - position + size] for name, (offset, size) in places.items()
            }
            yield from (f"{path}: {row['id']}: {fault}" for fault in content_faults(members, classes))
            position += len(data)
        digest.update(file.read())
    if digest.hexdigest() != shard.sha256:
        yield f"{path}: its SHA-256 is not that in {FILE_NAME}: bytes changed after it was written; copy it again"
