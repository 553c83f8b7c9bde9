"""Labels of clips, in a CSV `id,class[,split]` or one whose header names the columns; names of classes."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from shards.csv_files import CsvRow, read_cells, read_columns
from shards.errors import InputError
from shards.names import is_split_name, signer_of

LARGEST_CLASS = 999_999
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True)
class Labelled:
    """What a file of labels says of one clip."""

    id: str  # in Unicode's form NFC
    label: int | None  # class; None where the cell is empty
    split: str | None
    signer: str  # "" where the file does not say it


@dataclass(frozen=True)
class LabelCell:
    """The text of a label and where it stands."""

    path: Path
    line: int
    text: str

    def error(self, fault: str) -> InputError:
        """What is wrong with the label."""
        return InputError(f"{self.path}:{self.line}: class {self.text!r} {fault}")


def plain_id(text: str) -> str:
    """An id in Unicode's form NFC: macOS writes file names in NFD, most programs text in NFC."""
    return unicodedata.normalize("NFC", text)


def read_labels(path: Path, names: Sequence[str] | None = None) -> dict[str, tuple[int, str | None]]:
    """Class and split of the labelled clips, by id; a split that is not there is None.

    Args:
        path: a headerless CSV `id,class[,split]`, or a CSV with a header that names `id` and `label` (or `class`).
        names: the classes' names, in their order, for labels that are names. Without them such labels are numbered as
            `number_labels` says, by the names in this file alone.

    Raises:
        InputError: see `read_labelled`; or no clip has a label.
    """
    rows = read_labelled(path, names)
    labels = {row.id: (row.label, row.split) for row in rows if row.label is not None}
    if not labels:
        raise InputError(f"{path}: no clip in it has a label")
    return labels


def read_labelled(path: Path, names: Sequence[str] | None = None) -> list[Labelled]:
    """Every clip of a file of labels (see `read_labels`), with its signer, in the file's order.

    Raises:
        InputError: unreadable or empty; a wrong class or split; an id with two classes, splits or signers.
    """
    rows = _with_header(path, names) if _has_header(path) else _without_header(path)
    found: dict[str, Labelled] = {}
    for line, row in rows:
        if not row.id:
            raise InputError(f"{path}:{line}: no id")
        if row.split is not None and not is_split_name(row.split):
            raise InputError(f"{path}:{line}: {row.split!r} cannot name a split")
        if found.setdefault(row.id, row) != row:
            raise InputError(f"{path}:{line}: {row.id} has another class, split or signer further up")
    if not found:
        raise InputError(f"{path}: has no rows")
    return list(found.values())


def label_names(path: Path) -> list[str] | None:
    """The classes' names in a file of labels that are names, as `read_labels` numbers them; None where it has numbers.

    Raises:
        InputError: see `read_labels`.
    """
    return number_labels(_rows_and_cells(path)[1])[1] if _has_header(path) else None


def _has_header(path: Path) -> bool:
    rows = read_cells(path)
    return bool(rows) and "id" in [cell.casefold() for cell in rows[0][1]]


def _without_header(path: Path) -> list[tuple[int, Labelled]]:
    rows = []
    for line, cells in read_cells(path):
        if len(cells) not in (2, 3):
            raise InputError(f"{path}:{line}: expected id,class or id,class,split, found {len(cells)} columns")
        sample_id = plain_id(cells[0])
        label = parse_number(LabelCell(path, line, cells[1]))
        split = cells[2] if len(cells) == 3 else None
        rows.append((line, Labelled(sample_id, label, split, signer_of(sample_id))))
    return rows


def _rows_and_cells(path: Path) -> tuple[list[CsvRow], list[LabelCell]]:
    rows = list(read_columns(path, ["id"], ["label", "class", "split", "signer"]))
    label_column = next((name for name in ("label", "class") if not rows or name in rows[0].cells), None)
    if label_column is None:
        raise InputError(f"{path}: its first line names no column label")
    return rows, [LabelCell(path, row.line, row[label_column]) for row in rows]


def _with_header(path: Path, names: Sequence[str] | None) -> list[tuple[int, Labelled]]:
    rows, cells = _rows_and_cells(path)
    labels, _ = number_labels(cells, names)
    found = []
    for row, label in zip(rows, labels, strict=True):
        sample_id = plain_id(row["id"])
        signer = row.get("signer") or signer_of(sample_id)
        found.append((row.line, Labelled(sample_id, label, row.get("split") or None, signer)))
    return found


def number_labels(
    cells: Sequence[LabelCell], names: Sequence[str] | None = None
) -> tuple[list[int | None], list[str] | None]:
    """The classes of labels that are all numbers, or all names of classes, and the names if they are names.

    Whole numbers are classes as they stand, unless all are among `names` and one is padded: 0001 names a class. Names
    are numbered by their places among `names`, or else among themselves, sorted by code points; pandas' `nan` is a name
    only among `names`. An empty label is None.

    Raises:
        InputError: a number that is no class; a name not among `names`; numbers and names mixed, without `names`.
    """
    filled = [cell for cell in cells if cell.text]
    texts = {cell.text for cell in filled}
    numbers = [cell for cell in filled if _NUMBER.fullmatch(cell.text)]
    padded = any(text.startswith("0") and len(text) > 1 for text in texts) and texts <= set(names or ())
    if len(numbers) == len(filled) and not padded:
        return [parse_number(cell) if cell.text else None for cell in cells], None
    if names is None:
        if numbers:
            word = next(cell for cell in filled if not _NUMBER.fullmatch(cell.text))
            raise word.error(
                f"is a name, but in line {numbers[0].line} it is the number {numbers[0].text}; write only "
                "numbers or only names, or give the classes' names in a CSV ClassId,NAME"
            )
        names = sorted(texts - {"nan"})
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        places.setdefault(name, place)
    for cell in filled:
        if cell.text not in places:
            raise cell.error("is none of the classes' names" if cell.text != "nan" else "is pandas' word for nothing")
    twice = texts & {name for name, count in Counter(names).items() if count > 1}
    if twice:
        raise InputError(f"{filled[0].path}: two classes are named {min(twice)!r}; give labels as numbers")
    return [places[cell.text] if cell.text else None for cell in cells], list(names)


def parse_number(cell: LabelCell) -> int:
    """The class in a cell that holds a number.

    Raises:
        InputError: it is not a whole number from 0 to LARGEST_CLASS.
    """
    if not (cell.text.isascii() and cell.text.isdigit()):
        raise cell.error("is not a whole number from 0 up")
    if len(cell.text) > len(str(LARGEST_CLASS)):
        raise cell.error(f"is larger than {LARGEST_CLASS}; number the classes 0, 1, 2, …")
    return int(cell.text)


def read_classes(path: Path) -> list[str]:
    """Class names, in class order, of a CSV with the header `ClassId,…`: its column EN, or else the second.

    Raises:
        InputError: a wrong row, or classes that are not 0, 1, 2, ….
    """
    (_, header), *rows = read_cells(path) or [(0, [""])]
    if len(header) < 2 or header[0] != "ClassId":
        raise InputError(f"{path}: its first line must be ClassId,NAME[,EN]")
    column = header.index("EN") if "EN" in header else 1
    names: dict[int, str] = {}
    for line, cells in rows:
        if len(cells) != len(header):
            raise InputError(f"{path}:{line}: {len(cells)} columns where the header has {len(header)}")
        number = parse_number(LabelCell(path, line, cells[0]))
        if number in names:
            raise InputError(f"{path}:{line}: class {number} is further up already")
        names[number] = cells[column]
    if sorted(names) != list(range(len(names))):
        raise InputError(f"{path}: classes must be 0 to {len(names) - 1}, each once")
    return [names[number] for number in range(len(names))]


def class_gaps(labels: Iterable[int | None]) -> str | None:
    """A warning where under a tenth of over 100 classes have a sample: numbers of a dictionary taken for classes."""
    used = {label for label in labels if label is not None}
    count = max(used, default=-1) + 1
    if count <= 100 or len(used) * 10 >= count:
        return None
    return f"{len(used)} of {count:,} classes have a sample: number them 0, 1, 2, …, or the model has {count:,} outputs"
