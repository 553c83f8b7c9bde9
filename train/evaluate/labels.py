"""Label and prediction files: headerless CSV `id,class[,…]`."""

from pathlib import Path

from shards.errors import InputError
from shards.tables import parse_class, read_rows


def read_ids(path: Path) -> list[str]:
    """The first column, in its order.

    Raises:
        InputError: unreadable, empty, or an id occurs twice.
    """
    ids = [row[0] for _, row in read_rows(path)]
    if not ids:
        raise InputError(f"{path}: is empty; expected lines id,class")
    if len(set(ids)) < len(ids):
        raise InputError(f"{path}: an id occurs twice, e.g. {next(i for n, i in enumerate(ids) if i in ids[:n])}")
    return ids


def read_labels(path: Path) -> dict[str, int]:
    """Class by id.

    Raises:
        InputError: unreadable or empty, a class that is not a whole number, or an id with two classes.
    """
    labels: dict[str, int] = {}
    for line, row in read_rows(path):
        if len(row) < 2:
            raise InputError(f"{path}:{line}: expected id,class, found {row[0]!r}")
        label = parse_class(row[1], path, line)
        if labels.setdefault(row[0], label) != label:
            raise InputError(f"{path}:{line}: {row[0]} has another class further up")
    if not labels:
        raise InputError(f"{path}: is empty; expected lines id,class")
    return labels
