"""Writing files so that a file that exists is whole."""

import os
import re
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{12}\.tmp")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path in the folder of `path`, renamed to `path` when the block succeeds and removed when it fails.

    The name is unlike any other writer's: two workers that write the same file (a cluster may start a task twice) each
    rename a whole one. A device or a pipe, such as /dev/null, is written to, not replaced.
    """
    if path.exists() and not path.is_file():
        yield path
        return
    temporary = path.with_name(f".{path.name[:100]}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if error.filename in (None, str(temporary)):
            error.filename = str(path)  # the name that people know
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_bytes(data)


def is_among(path: Path, others: Iterable[Path]) -> bool:
    """Whether a path leads to the same file as one of the others, however each is spelled."""
    return os.path.realpath(path) in map(os.path.realpath, others)


def remove_leftovers(folder: Path) -> int:
    """Remove the temporary files that a killed `whole_file` left in `folder`; returns how many there were."""
    removed = 0
    if folder.is_dir():
        for entry in os.scandir(folder):
            if _TEMPORARY.fullmatch(entry.name):
                Path(entry.path).unlink(missing_ok=True)
                removed += 1
    return removed
