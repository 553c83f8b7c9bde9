"""The Parquet index beside the shards: one row per sample, with the place of every member.

Columns: `id`, `shard` (file name), `label` (class, null where there is none), `signer`, `frames`, then `offset` and
`size` of every member, in bytes from the start of the shard (`left_depth.mjpg` gives `left_depth_offset`,
`left_depth_size`; null where the sample has no such member).
"""

import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shards.errors import InputError
from shards.files import whole_file
from shards.format.sample import MEMBERS, info_from_json
from shards.format.tar import end_of_archive, padded, split_member_name

# Of a member, the columns of its offset and its size: `left_depth_offset` and `left_depth_size` for `left_depth.mjpg`.
PLACE_COLUMNS = {
    member: (f"{member.partition('.')[0]}_offset", f"{member.partition('.')[0]}_size") for member in MEMBERS
}

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("shard", pa.string()),
        ("label", pa.int32()),
        ("signer", pa.string()),
        ("frames", pa.int32()),
    ]
    + [(name, pa.int64()) for names in PLACE_COLUMNS.values() for name in names]
)


def scan_shard(path: Path) -> list[dict[str, Any]]:
    """The index rows of a shard, read from its tar headers and JSON members.

    Raises:
        InputError: when it is not a whole tar of samples, as `shards.format.writer` writes it.
    """
    rows: list[dict[str, Any]] = []
    extent = 0
    try:
        with tarfile.open(path, "r:", encoding="utf-8") as tar:
            while (header := tar.next()) is not None:
                tar.members = []  # tarfile keeps every header it has seen
                _add_member(rows, path, tar, header)
                extent = header.offset_data + padded(header.size)
        _check_end(path, extent)
    except (tarfile.TarError, EOFError, KeyError, ValueError, OSError) as error:
        raise InputError(f"{path}: not a whole shard ({error}); make or copy it again") from error
    return rows


def _add_member(rows: list[dict[str, Any]], path: Path, tar: tarfile.TarFile, header: tarfile.TarInfo) -> None:
    sample_id, member = split_member_name(header.name)
    if member not in MEMBERS or not header.isfile():
        raise InputError(f"{path}: {header.name} is not a member of a sample; was another tool at work here?")
    if not rows or rows[-1]["id"] != sample_id:
        rows.append(dict.fromkeys(SCHEMA.names) | {"id": sample_id, "shard": path.name})
    row = rows[-1]
    if any(row[PLACE_COLUMNS[later][0]] is not None for later in MEMBERS[MEMBERS.index(member) :]):
        raise InputError(f"{path}: {header.name} stands after a member it should precede, or twice; make it again")
    at, length = PLACE_COLUMNS[member]
    row[at], row[length] = header.offset_data, header.size
    if member == "json":
        content = tar.extractfile(header)
        info = info_from_json(content.read() if content else b"")
        if info.id != sample_id:
            raise InputError(f"{path}: {header.name} is about sample {info.id}; make or copy it again")
        row.update(label=info.label, signer=info.signer, frames=info.frames)


def _check_end(path: Path, extent: int) -> None:
    """tarfile takes the end of the file, and anything that is no header, for the end of the archive: so must not we."""
    with path.open("rb") as file:
        file.seek(extent)
        expected = end_of_archive(extent)
        found = file.read(len(expected) + 1)
    if len(found) < len(expected):
        raise InputError(f"{path}: cut off: no end of the archive after the members' {extent} bytes; copy it again")
    if found != expected:
        raise InputError(f"{path}: neither a member nor the end of the archive at byte {extent}; copy it again")


def write_index(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write the index of a split, whole or not at all."""
    with whole_file(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), temporary)


def read_index(path: Path) -> pa.Table:
    """The index of a split.

    Raises:
        InputError: when it is missing, damaged, or not one of ours.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot read this index ({error}); run the shards stage again") from error
    if table.schema.names != SCHEMA.names:
        raise InputError(f"{path}: not an index of this version (columns {table.schema.names})")
    return table
