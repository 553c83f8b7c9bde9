"""The small CSV files around a shard set: assignments of samples to splits or folds, class names."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from shards.errors import InputError
from shards.files import read_limited, whole_file
from shards.names import is_split_name

Value = TypeVar("Value", bound=tuple)


def read_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line number, cells) of a UTF-8 CSV, blank lines left out, cells stripped.

    A row over several lines (a quoted cell may hold line ends) has the number of its first one.

    Raises:
        InputError: when it cannot be read.
    """
    try:
        reader = csv.reader(io.StringIO(read_limited(path).decode("utf-8-sig"), newline=""))
        line = 1
        for row in reader:
            if any("\0" in cell for cell in row):  # which no path may have; UTF-16 is full of it
                raise InputError(f"{path}:{line}: holds a NUL byte; save it as CSV in UTF-8")
            if any(cell.strip() for cell in row):
                yield line, [cell.strip() for cell in row]
            line = reader.line_num + 1
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as CSV ({error})") from error


def parse_class(text: str, path: Path, line: int) -> int:
    """The class in a CSV cell; InputError where it is not a whole number from 0 up."""
    if not (text.isascii() and text.isdigit() and len(text) < 7):
        raise InputError(f"{path}:{line}: class {text!r} is not a whole number from 0 up")
    return int(text)


def read_assignment(path: Path) -> dict[str, tuple[int | None, str]]:
    """Class and split, by id, of a CSV `id,split` (then the class is None) or `id,class,split`; a fold is a split.

    A first line `id,split`, `id,fold` or `id,class,split` is passed over. Without it, a split that is a number is
    refused: it is the class in a CSV of labels, `id,class`.

    Raises:
        InputError: a wrong row, no row, or an id with two classes or splits.
    """
    return _by_id(path, _assignment_rows(path))


def _assignment_rows(path: Path) -> Iterator[tuple[int, str, tuple[int | None, str]]]:
    header = False
    for line, row in read_rows(path):
        if line == 1 and row[0] == "id" and row[-1] in ("split", "fold"):
            header = True
            continue
        if len(row) not in (2, 3):
            raise InputError(f"{path}:{line}: expected id,split or id,class,split, found {len(row)} columns")
        if len(row) == 2 and row[1].isdigit() and not header:
            raise InputError(
                f"{path}:{line}: {row[1]!r} is a class, as it seems, and not a split; "
                "give id,split or id,class,split, or a first line id,split"
            )
        label = parse_class(row[1], path, line) if len(row) == 3 else None
        yield line, row[0], (label, _parse_split(row[-1], path, line))


def _parse_split(text: str, path: Path, line: int) -> str:
    if not is_split_name(text):
        raise InputError(f"{path}:{line}: {text!r} cannot name a split")
    return text


def _by_id(path: Path, rows: Iterable[tuple[int, str, Value]]) -> dict[str, Value]:
    """What the rows (line, id, value) say of each id; the same row twice counts once."""
    values: dict[str, Value] = {}
    lines: dict[str, int] = {}
    for line, sample_id, value in rows:
        if values.setdefault(sample_id, value) != value:
            here, there = _shown(value), _shown(values[sample_id])
            raise InputError(
                f"{path}:{line}: {sample_id} has {here}, but {there} in line {lines[sample_id]}; leave one out"
            )
        lines.setdefault(sample_id, line)
    if not values:
        raise InputError(f"{path}: has no rows")
    return values


def _shown(cells: tuple) -> str:
    return ",".join(str(cell) for cell in cells if cell is not None)


def write_rows(path: Path, rows: Iterable[Iterable[object]]) -> None:
    """Write rows as a CSV in UTF-8, whole or not at all."""
    with whole_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def write_assignment(path: Path, rows: Iterable[tuple[str, str]], header: Sequence[str] = ()) -> None:
    """Write (id, split) rows as a CSV, without a header unless one is given, whole or not at all."""
    write_rows(path, [header, *rows] if header else rows)


def read_classes(path: Path) -> list[str]:
    """Class names, in class order, of a CSV with the header `ClassId,…`: its column EN, or else the second.

    Raises:
        InputError: a wrong row, or classes that are not 0, 1, 2, ….
    """
    rows = read_rows(path)
    _, header = next(rows, (0, []))
    if len(header) < 2 or header[0] != "ClassId":
        raise InputError(f"{path}: its first line must be ClassId,NAME[,EN]")
    column = header.index("EN") if "EN" in header else 1
    names: dict[int, str] = {}
    for line, row in rows:
        if len(row) != len(header):
            raise InputError(f"{path}:{line}: {len(row)} columns where the header has {len(header)}")
        number = parse_class(row[0], path, line)
        if number in names:
            raise InputError(f"{path}:{line}: class {number} is further up already")
        names[number] = row[column]
    if sorted(names) != list(range(len(names))):
        raise InputError(f"{path}: classes must be 0 to {len(names) - 1}, each once")
    return [names[number] for number in range(len(names))]
