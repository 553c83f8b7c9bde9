"""The Parquet index beside the shards: one row per sample, with the place of every member.

Columns: `id`, `shard` (file name), `label` (class, null where there is none), `signer`, `frames`, then `offset` and
`size` of every member, in bytes from the start of the shard (`left_depth.mjpg` gives `left_depth_offset`,
`left_depth_size`; null where the sample has no such member). Last, where any sample says it, in how many frames each
hand was guessed and missing: `left_guessed`, `left_missing`, `right_guessed`, `right_missing`.
"""

import os
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shards.errors import InputError
from shards.files import whole_file
from shards.format.dataset import FILE_NAME, Shard, sha256_of
from shards.format.sample import HAND_COLUMNS, MEMBERS, hand_counts, info_from_json
from shards.format.tar import BLOCK, end_of_archive, padded, split_member_name
from shards.parquet import read_parquet

# Of a member, the columns of its offset and its size: `left_depth_offset` and `left_depth_size` for `left_depth.mjpg`.
PLACE_COLUMNS = {
    member: (f"{member.partition('.')[0]}_offset", f"{member.partition('.')[0]}_size") for member in MEMBERS
}

_HAND_COLUMNS = [name for names in HAND_COLUMNS.values() for name in names]

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("shard", pa.string()),
        ("label", pa.int32()),
        ("signer", pa.string()),
        ("frames", pa.int32()),
    ]
    + [(name, pa.int64()) for names in PLACE_COLUMNS.values() for name in names]
    + [(name, pa.int32()) for name in _HAND_COLUMNS]
)
CHANGED = f"its SHA-256 is not that in {FILE_NAME}: changed after it was written; copy it or run the shards stage again"
_ALWAYS_THERE = ("id", "shard", "signer", "frames", *PLACE_COLUMNS["json"])


def scan_shard(path: Path) -> list[dict[str, Any]]:
    """The index rows of a shard, read from its tar headers and JSON members.

    Not by tarfile's reader: it takes anything that is no header for the end of the archive, keeps all headers, and
    follows extended ones, which no shard has, as deep and as far as they say.

    Raises:
        InputError: when it is not a whole tar of samples, as `shards.format.writer` writes it.
    """
    rows: list[dict[str, Any]] = []
    position = 0
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            while any(block := file.read(BLOCK)):
                header = _header(path, position, block)
                end = position + BLOCK + padded(header.size)
                if end > size:
                    raise InputError(f"{path}: cut off inside {header.name}; copy it again")
                _add_member(rows, path, header, position + BLOCK, file)
                position = file.seek(end)
            file.seek(position)
            _check_end(path, position, file)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); make or copy it again") from error
    return rows


def _header(path: Path, position: int, block: bytes) -> tarfile.TarInfo:
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    except (tarfile.HeaderError, ValueError) as error:
        raise InputError(
            f"{path}: neither a member nor the end of the archive at byte {position} ({error}); copy it again"
        ) from error


def _add_member(rows: list[dict[str, Any]], path: Path, header: tarfile.TarInfo, offset: int, file: BinaryIO) -> None:
    sample_id, member = split_member_name(header.name)
    if member not in MEMBERS or header.type != tarfile.REGTYPE or header.size < 0:
        raise InputError(f"{path}: {header.name} is not a member of a sample; was another tool at work here?")
    if not rows or rows[-1]["id"] != sample_id:
        rows.append(dict.fromkeys(SCHEMA.names) | {"id": sample_id, "shard": path.name})
    row = rows[-1]
    if any(row[PLACE_COLUMNS[later][0]] is not None for later in MEMBERS[MEMBERS.index(member) :]):
        raise InputError(f"{path}: {header.name} stands after a member it should precede, or twice; make it again")
    row.update(zip(PLACE_COLUMNS[member], (offset, header.size), strict=True))
    if member == "json":
        try:
            info = info_from_json(file.read(header.size))
        except (KeyError, ValueError) as error:
            raise InputError(f"{path}: {header.name} cannot be read ({error}); make or copy it again") from error
        if info.id != sample_id:
            raise InputError(f"{path}: {header.name} is about sample {info.id}; make or copy it again")
        row.update(label=info.label, signer=info.signer, frames=info.frames, **hand_counts(info.hands))


def counts_of(table: pa.Table) -> np.ndarray:
    """int32 (N, 2, 2): of every row, by hand, in how many frames it was guessed and missing; -1: not known."""
    hands = [np.stack([table[name].fill_null(-1).to_numpy() for name in names], 1) for names in HAND_COLUMNS.values()]
    return np.stack(hands, axis=1)


def _check_end(path: Path, extent: int, file: BinaryIO) -> None:
    expected = end_of_archive(extent)
    found = file.read(len(expected) + 1)
    if len(found) < len(expected):
        raise InputError(f"{path}: cut off: no end of the archive after the members' {extent} bytes; copy it again")
    if found != expected:
        raise InputError(f"{path}: neither a member nor the end of the archive at byte {extent}; copy it again")


def write_index(path: Path, rows: list[dict[str, Any]]) -> str:
    """Write the index of a split, whole or not at all; returns its SHA-256, for `dataset.json`."""
    table = pa.Table.from_pylist(rows, SCHEMA)
    if all(table[name].null_count == len(table) for name in _HAND_COLUMNS):
        table = table.drop_columns(_HAND_COLUMNS)
    with whole_file(path) as temporary:
        pq.write_table(table, temporary, write_page_checksum=True)
    return sha256_of(path)


def read_index(path: Path, sha256: str | None = None) -> pa.Table:
    """The index of a split.

    Args:
        path: of the index.
        sha256: what `dataset.json` says of it; None: it does not say.

    Raises:
        InputError: when it is missing, damaged, changed, not one of ours, or has values that no sample can have.
    """
    try:
        table = read_parquet(path, SCHEMA, optional=len(_HAND_COLUMNS))
        table.validate(full=True)
        fault = _range_fault(table)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot read this index ({error}); run the shards stage again") from error
    if fault:
        raise InputError(f"{path}: {fault}; run the shards stage again")
    if sha256 is not None and sha256_of(path) != sha256:
        raise InputError(f"{path}: {CHANGED}")
    return table


def read_shard_rows(path: Path, shards: Sequence[Shard], sha256: str | None) -> pa.Table:
    """The rows of these shards in the index of their split, in its order.

    Raises:
        InputError: as `read_index`; or it has not as many rows of a shard as `dataset.json` says.
    """
    table = read_index(path, sha256)
    rows = {one["values"]: one["counts"] for one in pc.value_counts(table["shard"]).to_pylist()}
    for shard in shards:
        if (found := rows.get(shard.name, 0)) != shard.samples:
            raise InputError(
                f"{path}: lists {found} samples of {shard.name}, {FILE_NAME} {shard.samples}; copy both again, or see "
                "what `shards verify` says"
            )
    return table.filter(pc.is_in(table["shard"], pa.array([shard.name for shard in shards])))


def _range_fault(table: pa.Table) -> str | None:
    """What no sample can have, in numbers, of which offsets and sizes are used before a byte is seen."""
    for name in _ALWAYS_THERE:
        if table[name].null_count:
            return f"a sample has no {name}"
    for names in PLACE_COLUMNS.values():
        if not table[names[0]].is_null().equals(table[names[1]].is_null()):
            return f"a sample has one of {names[0]} and {names[1]}"
    unknown = table[_HAND_COLUMNS[0]].is_null()
    if not all(table[name].is_null().equals(unknown) for name in _HAND_COLUMNS):
        return f"a sample has some of {', '.join(_HAND_COLUMNS)}"
    for name in set(SCHEMA.names) - {"id", "shard", "signer"}:
        least = pc.min(table[name]).as_py()
        if least is not None and least < (1 if name == "frames" else 0):
            return f"a sample has {name} {least}"
    for names in HAND_COLUMNS.values():
        guessed, missing = (table[name].cast(pa.int64()) for name in names)
        if pc.any(pc.greater(pc.add(guessed, missing), table["frames"])).as_py():
            return f"a sample has {' and '.join(names)} of more frames than there are"
    return None
