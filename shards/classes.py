"""Class names: CSV files in the form of AUTSL's `SignList_ClassId_TR_EN.csv`."""

from pathlib import Path

from shards.errors import InputError
from shards.tables import parse_class, read_rows


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
