"""Stage `shards`: the samples of every split as tars, their indexes, and `dataset.json` last."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.fingerprint import fingerprint
from pipeline.ledger import DONE, Ledger, Row
from pipeline.manifest import Sample
from pipeline.runner import Task
from pipeline.workspace import Workspace
from shards.dataset import FILE_NAME, Dataset, Shard
from shards.files import remove_leftovers
from shards.index import PLACE_COLUMNS, SCHEMA, write_index
from shards.planning import plan_split
from shards.recipe import Recipe
from shards.writer import Extent, write_shard


@dataclass(frozen=True)
class ShardItem:
    """A sample on its way into a shard: what the handcrops stage says of its tar."""

    sample: Sample
    fingerprint: str  # of the handcrops stage
    frames: int
    facts: Mapping[str, Any]  # `extent`, `places`


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
    """Of a shard's place and everything in it."""
    return fingerprint(str(folder.absolute()), [(item.sample.id, item.fingerprint) for item in items])


def make_shard(path: Path, extents: list[Extent]) -> dict[str, Any]:
    """Write one shard; the facts are its entry in `dataset.json`."""
    shard = write_shard(path, extents)
    return {"bytes": shard.bytes, "samples": shard.samples, "size": shard.bytes, "sha256": shard.sha256}


def shard_tasks(
    folder: Path, shards: Mapping[str, list[ShardItem]], workspace: Workspace, rows: Mapping[str, Row]
) -> list[Task]:
    """The shards that are not there yet, or hold something else than planned."""
    tasks = []
    for name, items in shards.items():
        current = shard_fingerprint(folder, items)
        row = rows.get(name)
        path = folder / name
        same = row is not None and row.status == DONE and row.fingerprint == current
        if not (same and path.is_file() and path.stat().st_size == row.facts["size"]):
            extents = [Extent(workspace.handcrops(item.sample.id), 0, item.facts["extent"]) for item in items]
            tasks.append(Task(name, current, partial(make_shard, path, extents)))
    return tasks


def index_rows(name: str, items: list[ShardItem]) -> list[dict[str, Any]]:
    """The index rows of a shard, from where the members are in each sample's own tar."""
    rows, start = [], 0
    for item in items:
        row = dict.fromkeys(SCHEMA.names) | {
            "id": item.sample.id,
            "shard": name,
            "label": item.sample.label,
            "signer": item.sample.signer,
            "frames": item.frames,
        }
        for member, (offset, size) in item.facts["places"].items():
            at, length = PLACE_COLUMNS[member]
            row[at], row[length] = start + offset, size
        rows.append(row)
        start += item.facts["extent"]
    return rows


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
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    tasks = shard_tasks(folder, shards, workspace, ledger.rows)
    stale = [name for name, row in ledger.rows.items() if name not in shards and row.facts.get("folder") == str(folder)]
    if tasks or stale:
        (folder / FILE_NAME).unlink(missing_ok=True)
    rows = []
    for row in run(tasks) if tasks else ():
        row.facts["folder"] = str(folder)
        ledger.record(row)
        rows.append(row)
    for name in stale:
        (folder / name).unlink(missing_ok=True)
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
    splits: dict[str, list[Shard]] = {}
    index: dict[str, list[dict[str, Any]]] = {}
    for name, items in shards.items():
        split = items[0].sample.split
        facts = rows[name].facts
        splits.setdefault(split, []).append(Shard(name, facts["samples"], facts["size"], facts["sha256"]))
        index.setdefault(split, []).extend(index_rows(name, items))
    for path in folder.glob("*.parquet"):
        if path.stem not in index:
            path.unlink()
    for split, split_rows in index.items():
        write_index(folder / f"{split}.parquet", split_rows)
    dataset = Dataset(recipe, settings, classes, splits)
    dataset.write(folder)
    return dataset
