"""Assignments of samples to splits or folds: a CSV `id,split` or `id,class,split`, as `shards split` writes it."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from shards.csv_files import read_cells, write_rows
from shards.errors import InputError
from shards.labels import LabelCell, parse_number, plain_id
from shards.names import is_split_name


def read_assignment(path: Path) -> dict[str, tuple[int | None, str]]:
    """Class and split, by id, of a CSV `id,split` (then the class is None) or `id,class,split`; a fold is a split.

    A first line `id,split`, `id,fold` or `id,class,split` is passed over. Without it, a split that is a number is
    refused: it is the class in a CSV of labels, `id,class`.

    Raises:
        InputError: a wrong row, no row, or an id with two classes or splits.
    """
    rows = read_cells(path)
    header = bool(rows) and rows[0][1][0] == "id" and rows[0][1][-1] in ("split", "fold")
    found: dict[str, tuple[int, int | None, str]] = {}  # with the line
    for line, (name, *cells) in rows[header:]:
        sample_id, label, split = plain_id(name), *_class_and_split(path, line, cells, header)
        first, *before = found.setdefault(sample_id, (line, label, split))
        if before != [label, split]:
            there = ",".join(str(cell) for cell in before if cell is not None)
            raise InputError(
                f"{path}:{line}: {sample_id} has {','.join(cells)}, but {there} in line {first}; leave one out"
            )
    if not found:
        raise InputError(f"{path}: has no rows")
    return {sample_id: (label, split) for sample_id, (_, label, split) in found.items()}


def _class_and_split(path: Path, line: int, cells: Sequence[str], header: bool) -> tuple[int | None, str]:
    """Of the cells behind the id; `header`: whether the file says that they are a split."""
    if len(cells) not in (1, 2):
        raise InputError(f"{path}:{line}: expected id,split or id,class,split, found {len(cells) + 1} columns")
    if len(cells) == 1 and cells[0].isdigit() and not header:
        raise InputError(
            f"{path}:{line}: {cells[0]!r} is a class, as it seems, and not a split; "
            "give id,split or id,class,split, or a first line id,split"
        )
    label = parse_number(LabelCell(path, line, cells[0])) if len(cells) == 2 else None
    if not is_split_name(cells[-1]):
        raise InputError(f"{path}:{line}: {cells[-1]!r} cannot name a split")
    return label, cells[-1]


def write_assignment(path: Path, rows: Iterable[tuple[str, str]], header: Sequence[str] = ()) -> None:
    """Write (id, split) rows as a CSV, without a header unless one is given, whole or not at all."""
    write_rows(path, [header, *rows] if header else rows)
