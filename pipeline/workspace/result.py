"""Result files: how a stage writes one, how it is recognized later, and how a later stage reads it.

A worker writes a result under a temporary name; the driver gives it its own name when it records the row. So a worker
that outlives its driver changes nothing that a later run relies on.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import ClipError
from pipeline.workspace.clip import ResultFile
from pipeline.workspace.row import LedgerRow, Made
from shards.files import temporary_name, writing
from shards.format.sample import array_from_npy


def write_result(path: Path, data: bytes, facts: Mapping[str, Any]) -> Made:
    """Write the result file that the driver will name `path`; the facts get its checksum and time."""
    temporary = temporary_name(path)
    try:
        with writing(path, temporary):
            temporary.write_bytes(data)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    marks = mtime_of(temporary) | {"crc32": zlib.crc32(data)}
    return Made({**facts, **marks}, len(data), temporary)


def mtime_of(result: Path) -> dict[str, int]:
    """The fact by which `is_result` recognizes a file. Asked for where the file was written: on a network file system
    another machine may see an earlier time for seconds."""
    return {"mtime_ns": result.stat().st_mtime_ns}


def named(row: LedgerRow, path: Path) -> LedgerRow:
    """The row, once its result file has its own name, `path`."""
    if row.temporary is None:
        return row
    row.temporary.replace(path)
    return replace(row, temporary=None)


def is_result(row: LedgerRow, found: Sequence[int] | None) -> bool:
    """Whether a file of this size and mtime (ns) is the one that a row describes; None: there is no file.

    The size is not enough: pose flow of one recipe is as large as that of another, and a driver that is killed may
    leave a file of settings that no row describes. Rows of earlier versions have no mtime.
    """
    return found is not None and found[0] == row.bytes and row.facts.get("mtime_ns", found[1]) == found[1]


def result_file(row: LedgerRow) -> ResultFile:
    """The result file of a row that is done."""
    return ResultFile(row.bytes, row.facts.get("crc32"))


def read_result(path: Path, expected: ResultFile) -> bytes:
    """The content of an earlier stage's result file.

    Raises:
        ClipError: it is not what was written (a bad disk, another program); the file is removed then, so that the next
            run makes it again.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ClipError(f"{path}: is gone; run the same command again, which makes it anew") from error
    if len(data) != expected.size or expected.crc32 not in (None, zlib.crc32(data)):
        path.unlink(missing_ok=True)
        raise ClipError(f"{path}: damaged since it was written, and removed; the same command makes it again")
    return data


def read_array(path: Path, expected: ResultFile) -> np.ndarray:
    """The array in an earlier stage's `.npy`.

    Raises:
        ClipError: see `read_result`; or it is no array.
    """
    data = read_result(path, expected)
    try:
        return array_from_npy(data)
    except (ValueError, EOFError) as error:
        path.unlink(missing_ok=True)
        raise ClipError(f"{path}: not a .npy file ({error}), and removed; the same command makes it again") from error
