"""The ledger of a stage: one row per sample, kept by the driver alone.

Rows go to a journal as they come (`<stage>.jsonl`, one line each, so that a kill loses none) and are folded into
`<stage>.parquet` when the stage ends. A part of a job array (`--part I/N`) keeps its own two files; readers merge them
all, and of two rows for a sample the later wins.
"""

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from shards.errors import InputError
from shards.files import whole_file

DONE, FAILED = "done", "failed"
_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("status", pa.string()),
        ("fingerprint", pa.string()),
        ("seconds", pa.float64()),
        ("bytes", pa.int64()),
        ("error", pa.string()),
        ("facts", pa.string()),
        ("time", pa.float64()),
    ]
)


@dataclass(frozen=True)
class Row:
    """What came of one sample in one stage."""

    id: str
    status: str  # DONE or FAILED
    fingerprint: str  # of everything the result depends on
    seconds: float = 0.0
    bytes: int = 0  # written
    error: str = ""
    facts: dict[str, Any] = field(default_factory=dict)  # what later stages need to know, as JSON
    time: float = field(default_factory=time.time)  # of the record, seconds since 1970


class Ledger:
    """The rows of one stage, by id; `record` keeps one for good.

    `part` is the name of this driver's own files ("" for a whole run, `part-3-of-8` in a job array).
    """

    def __init__(self, folder: Path, stage: str, part: str = "") -> None:
        self.stage = stage
        suffix = f".{part}" if part else ""
        self._table = folder / f"{stage}{suffix}.parquet"
        self._journal = folder / f"{stage}{suffix}.jsonl"
        self.rows = read_rows(folder, stage)
        self._own = {row.id: row for row in [*_read_table(self._table), *_read_journal(self._journal)]}
        self._file: TextIO | None = None

    def record(self, row: Row) -> None:
        """Keep a row. When this returns, a kill of the driver does not lose it."""
        if self._file is None:
            # A kill may have left half a line; what follows must not be glued to it.
            self._file = self._journal.open("a", encoding="utf-8")
            if self._file.tell():
                self._file.write("\n")
        self._file.write(json.dumps(asdict(row), ensure_ascii=False) + "\n")
        self._file.flush()
        self.rows[row.id] = self._own[row.id] = row

    def fold(self, keep: Iterable[str] | None = None) -> None:
        """Write the table and empty the journal. With `keep`, rows of other ids (removed samples) go."""
        if keep is not None:
            kept = set(keep)
            self.rows = {key: row for key, row in self.rows.items() if key in kept}
            self._own = {key: row for key, row in self._own.items() if key in kept}
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._own or self._table.exists():
            write_table(self._table, self._own.values())
        self._journal.unlink(missing_ok=True)


def read_rows(folder: Path, stage: str) -> dict[str, Row]:
    """All rows of a stage, of whole runs and of parts; of two rows for an id the later."""
    rows: dict[str, Row] = {}
    paths = sorted(folder.glob(f"{stage}.*")) if folder.is_dir() else []
    for path in paths:
        found = _read_table(path) if path.suffix == ".parquet" else _read_journal(path)
        for row in found:
            if row.id not in rows or rows[row.id].time <= row.time:
                rows[row.id] = row
    return rows


def write_table(path: Path, rows: Iterable[Row]) -> None:
    """Write a ledger table, whole or not at all, in id order."""
    values = [asdict(row) | {"facts": json.dumps(row.facts)} for row in sorted(rows, key=lambda row: row.id)]
    with whole_file(path) as temporary:
        pq.write_table(pa.Table.from_pylist(values, _SCHEMA), temporary)


def _read_table(path: Path) -> list[Row]:
    if not path.exists():
        return []
    try:
        columns = pq.read_table(path, schema=_SCHEMA).to_pydict()
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: damaged ({error}); remove it, and what it listed is done again") from error
    facts = [json.loads(text) for text in columns.pop("facts")]
    times = columns.pop("time")
    return [Row(*values) for values in zip(*columns.values(), facts, times, strict=True)]


def _read_journal(path: Path) -> list[Row]:
    if not path.exists():
        return []
    rows = []
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                rows.append(Row(**json.loads(line)))
            except (ValueError, TypeError):
                continue  # half a line, where a kill met the writing of it: that sample is done again
    return rows
