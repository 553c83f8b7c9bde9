"""The ledger of a stage: one row per sample, kept by the driver alone.

Rows go to a journal as they come (`<stage>.jsonl`, one line each, so that a kill loses none) and are folded into
`<stage>.parquet` when the stage ends. Both have checksums: a damaged line of a journal counts for nothing, a damaged
table is refused. A part of a job array (`--part I/N`) keeps its own two files; readers merge them all (of two rows for
a sample the later wins), and the next whole run puts them into `<stage>.parquet`.
"""

import errno
import json
import os
import re
import zlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.workspace.row import LedgerRow
from shards.errors import InputError
from shards.files import open_no_link, whole_file
from shards.parquet import read_parquet

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
_NUMBERS = (float, int)
_SUM = b"\t#"  # before the checksum, and in no JSON of ours


class Ledger:
    """The rows of one stage, by id; `record` keeps one for good.

    `part` is the name of this driver's own files ("" for a whole run, `part-3-of-8` in a job array).
    """

    def __init__(self, folder: Path, stage: str, part: str = "") -> None:
        suffix = f".{part}" if part else ""
        self._table = folder / f"{stage}{suffix}.parquet"
        self._journal = folder / f"{stage}{suffix}.jsonl"
        self.rows = read_ledger_rows(folder, stage)
        # A whole run keeps all rows, a part only those of its own files: the others belong to other drivers.
        self._own = _merge([self._table, self._journal]) if part else self.rows
        files = [self._journal] if part else _files(folder, stage)
        self._folded = [path for path in files if path != self._table and path.exists()]
        self._file: BinaryIO | None = None

    def record(self, row: LedgerRow) -> None:
        """Keep a row. When this returns, a kill of the driver does not lose it.

        Raises:
            OSError: the disk is full, or what else keeps us from writing.
        """
        # It may name a file whose name is not UTF-8, which no table can hold.
        row = replace(row, error=row.error.encode(errors="backslashreplace").decode())
        line = _journal_line(row)
        if self._file is None:
            # Not buffered: what could not be written must not be tried again at exit.
            self._file = open(self._journal, "ab", buffering=0, opener=open_no_link)  # noqa: SIM115 (closed by `fold`)
            # A kill may have left half a line; what follows must not be glued to it.
            line = b"\n" + line if self._file.tell() else line
        if self._file.write(line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._journal))
        self.rows[row.id] = self._own[row.id] = row

    def fold(self, keep: Iterable[str] | None = None) -> None:
        """Write the table, without the rows of ids that are not in `keep` (None: of all ids), and remove what is in it
        now: the journal and, in a whole run, the files of parts."""
        removed = set() if keep is None else self._own.keys() - set(keep)
        for key in removed:
            del self._own[key]
            self.rows.pop(key, None)
        if self._file is not None:
            self._file.close()
            self._file = None
            self._folded.append(self._journal)
        if removed or self._folded:
            write_ledger_table(self._table, self._own.values())
        for path in self._folded:
            path.unlink(missing_ok=True)
        self._folded = []


def read_ledger_rows(folder: Path, stage: str, facts: bool = True) -> dict[str, LedgerRow]:
    """All rows of a stage, of whole runs and of parts; of two rows for an id the later.

    Without `facts` those of tables stay empty: parsing them is most of the work.
    """
    return _merge(_files(folder, stage), facts)


def _files(folder: Path, stage: str) -> list[Path]:
    # No others: a whole run removes what it has read, and a user may keep a copy (frames.parquet.bak) beside them.
    ours = re.compile(rf"{stage}(\.part-\d+-of-\d+)?\.(parquet|jsonl)")
    return sorted(path for path in folder.iterdir() if ours.fullmatch(path.name)) if folder.is_dir() else []


def _merge(paths: Iterable[Path], facts: bool = True) -> dict[str, LedgerRow]:
    rows: dict[str, LedgerRow] = {}
    for path in paths:
        for row in _read_table(path, facts) if path.suffix == ".parquet" else _read_journal(path):
            if row.id not in rows or rows[row.id].time <= row.time:
                rows[row.id] = row
    return rows


def write_ledger_table(path: Path, rows: Iterable[LedgerRow]) -> None:
    """Write a ledger table, whole or not at all, in id order."""
    ordered = sorted(rows, key=lambda row: row.id)
    columns = {name: [getattr(row, name) for row in ordered] for name in _SCHEMA.names}
    columns["facts"] = [json.dumps(facts) for facts in columns["facts"]]
    with whole_file(path, follow=False) as temporary:
        pq.write_table(pa.Table.from_pydict(columns, _SCHEMA), temporary, write_page_checksum=True)


def _read_table(path: Path, with_facts: bool) -> list[LedgerRow]:
    try:
        table = read_parquet(path, _SCHEMA)
        columns = table.to_pydict()
        texts, times = columns.pop("facts"), columns.pop("time")
        # One list for the parser: 36,302 small texts, one by one, take three times as long.
        facts = json.loads(f"[{','.join(texts)}]") if with_facts else [{} for _ in texts]
        if any(column.null_count for column in table.columns) or not all(type(one) is dict for one in facts):
            raise ValueError("a row has values of other types")
        return [LedgerRow(*values) for values in zip(*columns.values(), facts, times, strict=True)]
    except FileNotFoundError:
        return []
    except (InputError, OSError, ValueError, TypeError, pa.ArrowException) as error:  # ValueError, TypeError: of facts
        raise InputError(f"{path}: damaged ({error}); remove it, and what it listed is done again") from error


def _read_journal(path: Path) -> list[LedgerRow]:
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []  # folded by its driver since we listed the folder
    # Half a line, where a kill met the writing of it, or a damaged one: that sample is done again.
    return [row for row in map(_row_of_line, lines) if row]


def _journal_line(row: LedgerRow) -> bytes:
    """The row as JSON, and the checksum of that, in one line."""
    text = json.dumps({name: getattr(row, name) for name in _SCHEMA.names}).encode()
    return b"%s%s%08x\n" % (text, _SUM, zlib.crc32(text))


def _row_of_line(line: bytes) -> LedgerRow | None:
    """The row of a journal's line, None for a damaged one. Earlier versions wrote no checksum."""
    text, mark, found = line.rpartition(_SUM)
    if mark and found != b"%08x" % zlib.crc32(text):
        return None
    try:
        row = LedgerRow(**json.loads(text if mark else line))
    except (ValueError, TypeError):
        return None
    return row if _is_row(row) else None


def _is_row(row: LedgerRow) -> bool:
    texts = type(row.id) is type(row.status) is type(row.fingerprint) is type(row.error) is str
    numbers = type(row.bytes) is int and type(row.seconds) in _NUMBERS and type(row.time) in _NUMBERS
    return texts and numbers and type(row.facts) is dict and row.temporary is None
