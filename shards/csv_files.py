"""CSV files as people write them: what is none is refused by its cause, cells are found by the names of the columns."""

import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from shards.errors import InputError
from shards.files import read_limited, whole_file

# What gets a name ending in .csv by mistake, by how it begins. A class may be named <unk>, [noise] or {sic}.
_NOT_CSV = (
    (rb"PK\x03\x04", "is a zip archive or an Excel workbook; unpack it, or save it as CSV in UTF-8"),
    (rb"\x1f\x8b", "is compressed by gzip; unpack it"),
    (rb"PAR1", "is a Parquet file, not CSV"),
    (rb"version https://git-lfs", "is a Git LFS pointer, not the file itself; fetch it with `git lfs pull`"),
    (rb"(?i)<([!?]|html)", "is a web page or XML, not CSV"),
    (rb'\{\s*["}]|\[\s*["{\]]', "is JSON, not CSV"),
)
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


@dataclass(frozen=True)
class CsvRow:
    """A row of a CSV with a header: its cells by the names of the columns, stripped."""

    path: Path
    line: int  # in the file, from 1, where the row begins
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells[column]

    def get(self, column: str) -> str:
        """The cell, or "" where the file has no such column."""
        return self.cells.get(column, "")

    def error(self, column: str, fault: str) -> InputError:
        """What is wrong with a cell, with its place in the file."""
        return InputError(f"{self.path}:{self.line}: column {column}: {fault}")


def read_cells(path: Path) -> list[tuple[int, list[str]]]:
    """(line number, cells) of a CSV in UTF-8 with commas: blank lines left out, cells stripped.

    The number is that of the line where the row begins, also after a line break within quotes. Excel's first line
    `sep=,` is passed over.

    Raises:
        InputError: it cannot be read, is endless, or something else: another encoding, other separators, an archive ….
    """
    try:
        text = _text_of(path, read_limited(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read as CSV ({error.strerror or error})") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    rows: list[tuple[int, list[str]]] = []
    while True:
        line = reader.line_num + 1
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            break
        except csv.Error as error:
            raise InputError(f"{path}:{line}: cannot be read as CSV ({error})") from error
        if line == 1 and cells in (["sep="], ["sep=", ""]):
            continue
        if any(cells):
            rows.append((line, cells))
    _refuse_separators(path, rows)
    return rows


def _text_of(path: Path, data: bytes) -> str:
    start = data.removeprefix(b"\xef\xbb\xbf").lstrip()
    for beginning, fault in _NOT_CSV:
        if re.match(beginning, start):
            raise InputError(f"{path}: {fault}")
    if data.startswith(_UTF16) or (b"\0" in data[:4] and data.count(b"\0") * 3 > len(data)):
        raise InputError(f"{path}: its text is UTF-16; save it as CSV in UTF-8")
    if b"\0" in data:
        line = data[: data.index(b"\0")].count(b"\n") + 1
        raise InputError(f"{path}:{line}: holds a NUL byte; save it as CSV in UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].rpartition(b"\n")[2]
        place = f"{path}:{data[: error.start].count(10) + 1}: column {before.count(b',') + 1}"
        raise InputError(
            f"{place}: cannot be read as CSV: byte 0x{data[error.start]:02x} is no UTF-8; save the file as CSV in UTF-8"
        ) from error


def _refuse_separators(path: Path, rows: Sequence[tuple[int, list[str]]]) -> None:
    """InputError where no row has two columns, but the first would have with another separator."""
    if not rows or len(rows[0][1]) > 1:
        return
    line, (cell,) = rows[0]
    for separator, name in _SEPARATORS.items():
        if separator in cell or cell == "sep=" + separator:
            raise InputError(f"{path}:{line}: its columns are separated by {name}; save it with commas")


def read_columns(path: Path, required: Collection[str], optional: Collection[str] = ()) -> Iterator[CsvRow]:
    """The rows of a CSV with a header, whose columns may come in any order and among others.

    Names of columns count as equal in upper and lower case. Other columns than these are left out, but one that looks
    like the `start` or `end` of a clip in another unit is refused where these are optional.

    Raises:
        InputError: see `read_cells`; a column is missing or there twice; a row has more or fewer cells than the header.
    """
    rows = read_cells(path)
    if not rows:
        raise InputError(f"{path}: is empty; its first line must name the columns {','.join(required)}")
    line, header = rows[0]
    names = [name.casefold() for name in header]
    missing = [name for name in required if name not in names]
    if missing:
        raise InputError(f"{path}:{line}: no column {', '.join(missing)}; the first line names {','.join(header)}")
    wanted = [*required, *(name for name in optional if name in names)]
    for name in wanted:
        if names.count(name) > 1:
            raise InputError(f"{path}:{line}: two columns {name}")
    _refuse_other_ranges(path, line, names, optional)
    places = {name: names.index(name) for name in wanted}
    for line, cells in rows[1:]:
        if len(cells) < len(header) or any(cells[len(header) :]):
            raise InputError(f"{path}:{line}: {len(cells)} columns where the header has {len(header)}")
        yield CsvRow(path, line, {name: cells[place] for name, place in places.items()})


def _refuse_other_ranges(path: Path, line: int, names: Sequence[str], optional: Collection[str]) -> None:
    """InputError for `frame_start`, `end_ms` and the like: the whole video would be taken for the clip."""
    if not {"start", "end"} <= set(optional) or {"start", "end"} & set(names):
        return
    for name in names:
        if {"start", "end"} & set(re.split(r"[^a-z]+", name)):
            raise InputError(
                f"{path}:{line}: column {name}: a part of a video is named by the columns start,end, in seconds "
                "(frame n, from 0, begins at n / frames per second); rename the column if it means something else"
            )


def write_rows(path: Path, rows: Iterable[Iterable[object]]) -> None:
    """Write rows as a CSV in UTF-8, whole or not at all."""
    with whole_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
