"""Stage `shards`: the samples of every split as tars, their indexes, and `dataset.json` last."""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.plan import is_result, mtime_of
from pipeline.workers.local import Task
from pipeline.workspace.clip import Sample
from pipeline.workspace.fingerprint import fingerprint, stamp
from pipeline.workspace.ledger import Ledger
from pipeline.workspace.paths import Workspace
from pipeline.workspace.row import BEGUN, DONE, Row
from shards.errors import InputError
from shards.files import remove_leftovers
from shards.format.dataset import FILE_NAME, Dataset, Shard, read_dataset
from shards.format.recipe import Recipe
from shards.format.tar import Layout
from shards.format.writer import Entry, Extent, finish, plan_split, write_shard
from shards.lock import file_lock
from shards.names import is_utf8


@dataclass(frozen=True)
class ShardItem:
    """A sample on its way into a shard: what the handcrops stage says of its tar."""

    sample: Sample
    fingerprint: str  # of the handcrops stage
    frames: int
    facts: Mapping[str, Any]  # `extent`, `places`


@contextmanager
def shards_folder(folder: Path, splits: set[str], workspace: Workspace, rows: Mapping[str, Row]) -> Iterator[None]:
    """Hold the folder that shards of these splits go to, against other workspaces; make it where it is not there.

    Raises:
        InputError: it cannot be written, another driver holds it, its name is not UTF-8, or it has files that the
            ledger (`rows`) does not know. In the workspace's own folder for shards everything counts as its own.
    """
    if not is_utf8(str(folder)):
        raise InputError(f"{str(folder)!r}: its name is not UTF-8; rename it, or give another --shards")
    if folder.resolve() in (workspace.root.resolve(), workspace.ledgers.resolve()):
        raise InputError(f"--shards {folder}: the workspace keeps other files there; give another folder")
    with ExitStack() as lock:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
            _refuse_strangers(folder, splits, workspace, rows)
            lock.enter_context(file_lock(folder / ".lock", "these shards"))
        except OSError as error:
            raise InputError(f"{folder}: cannot be written ({error.strerror}); give another --shards") from error
        _refuse_strangers(folder, splits, workspace, rows)  # which may have come since
        yield


def _refuse_strangers(folder: Path, splits: set[str], workspace: Workspace, rows: Mapping[str, Row]) -> None:
    if folder == workspace.shards:
        return
    known = _known(folder, rows)
    ours = [f"{split}.parquet" for split in splits - _splits(known)] + [FILE_NAME] * (not known)
    tars = sorted(path.name for path in folder.glob("*.tar") if path.name not in known)
    if found := tars + [name for name in ours if (folder / name).exists()]:
        raise InputError(
            f"{folder}: holds {found[0]}, which this workspace's ledger does not know; "
            "move it away, or give another --shards"
        )


def _known(folder: Path, rows: Mapping[str, Row]) -> set[str]:
    """Names of the shards in a folder that the ledger has rows of: the id of a row is the shard's path.

    The folder may have been named otherwise then, or a link of that name may have led elsewhere: such a row has to be
    of the very file that is there.
    """
    here, known = os.path.realpath(folder), set()
    for path, row in zip(map(Path, rows), rows.values(), strict=True):
        if path.parent == folder or (
            os.path.realpath(path.parent) == here and is_result(row, stamp(folder / path.name))
        ):
            known.add(path.name)
    return known


def _listed(folder: Path) -> set[str]:
    """Names of the shards of the set in a folder, where there is a whole one."""
    try:
        splits = read_dataset(folder).splits
    except InputError:
        return set()
    return {shard.name for shards in splits.values() for shard in shards}


def rows_to_keep(folder: Path, shards: Iterable[str], rows: Iterable[str]) -> set[str]:
    """Ids of the rows of the shards planned for a folder, and of those in other folders, where a run may come again."""
    here = os.path.realpath(folder)
    elsewhere = {key for key in rows if os.path.realpath(Path(key).parent) != here and Path(key).exists()}
    return elsewhere | {str(folder / name) for name in shards}


def _splits(names: Iterable[str]) -> set[str]:
    """Of shards `<split>-NNN.tar`."""
    return {name.rpartition("-")[0] for name in names}


def plan_shards(items: Iterable[ShardItem], samples_per_shard: int) -> dict[str, list[ShardItem]]:
    """The shards of all splits, by file name."""
    splits: dict[str, list[ShardItem]] = {}
    for item in items:
        splits.setdefault(item.sample.split, []).append(item)
    shards = {}
    for split, members in sorted(splits.items()):
        shards |= plan_split(split, members, lambda item: item.sample.id, samples_per_shard)
    return shards


def shard_fingerprint(folder: Path, items: list[ShardItem]) -> str:
    """Of a shard's place and everything in it.

    The checksums of the samples' tars are in it, too: one that was lost may be made again with other JPEGs, by another
    version of their encoder.
    """
    contents = [(item.sample.id, item.fingerprint, item.facts["crc32"]) for item in items]
    return fingerprint(str(folder.absolute()), contents)


def make_shard(path: Path, extents: list[Extent]) -> dict[str, Any]:
    """Write one shard; the facts are its entry in `dataset.json`."""
    shard = write_shard(path, extents)
    facts = {"bytes": shard.bytes, "samples": shard.samples, "size": shard.bytes, "sha256": shard.sha256}
    return facts | mtime_of(path)


def shard_tasks(
    folder: Path, shards: Mapping[str, list[ShardItem]], workspace: Workspace, rows: Mapping[str, Row]
) -> list[Task]:
    """The shards that are not there yet, or hold something else than planned."""
    tasks = []
    for name, items in shards.items():
        current = shard_fingerprint(folder, items)
        path = folder / name
        row = rows.get(str(path))
        same = row is not None and row.status == DONE and row.fingerprint == current
        if not (same and is_result(row, stamp(path))):
            extents = [Extent(workspace.handcrops(item.sample.id), 0, item.facts["extent"]) for item in items]
            tasks.append(Task(str(path), current, partial(make_shard, path, extents)))
    return tasks


def write_shards(
    folder: Path,
    shards: Mapping[str, list[ShardItem]],
    workspace: Workspace,
    ledger: Ledger,
    run: Callable[[list[Task]], Iterator[Row]],
) -> list[Row]:
    """Bring the tars in `folder` to the plan; `dataset.json` goes first, so that nobody reads what is half changed.

    Returns the rows of the shards that were written, failed ones too.
    """
    remove_leftovers(folder)
    tasks = shard_tasks(folder, shards, workspace, ledger.rows)
    known = _known(folder, ledger.rows)
    # In the workspace the ledger may have been lost, or tell of where the workspace was before.
    listed = _listed(folder) - known if folder == workspace.shards else set()
    stale = (known | listed) - shards.keys()
    # So that the next run knows the tars for ours, should we be killed.
    for name in listed:
        ledger.record(Row(str(folder / name), BEGUN, ""))
    for task in tasks:
        ledger.record(Row(task.id, BEGUN, task.fingerprint))
    if tasks or stale:
        (folder / FILE_NAME).unlink(missing_ok=True)
    rows = []
    for row in run(tasks) if tasks else ():
        ledger.record(row)
        rows.append(row)
    for name in stale:
        (folder / name).unlink(missing_ok=True)
    for split in _splits(stale) - _splits(shards):
        (folder / f"{split}.parquet").unlink(missing_ok=True)
    return rows


def write_dataset(
    folder: Path,
    shards: Mapping[str, list[ShardItem]],
    rows: Mapping[str, Row],
    recipe: Recipe,
    settings: dict[str, Any],
    classes: list[str],
) -> Dataset:
    """Write the indexes, then `dataset.json`."""
    contents = []
    for name, items in shards.items():
        facts = rows[str(folder / name)].facts
        shard = Shard(name, facts["samples"], facts["size"], facts["sha256"])
        contents.append((items[0].sample.split, shard, [_entry(item) for item in items]))
    return finish(folder, Dataset(recipe, settings, classes), contents)


def _entry(item: ShardItem) -> Entry:
    sample = item.sample
    about = {"id": sample.id, "label": sample.label, "signer": sample.signer, "frames": item.frames}
    return about, Layout(item.facts["places"], item.facts["extent"])
