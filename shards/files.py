"""Writing files so that a file that exists is whole."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPORARY_SUFFIX = ".tmp"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path in the folder of `path`, renamed to `path` when the block succeeds and removed when it fails.

    The name is unlike any other writer's: two workers that write the same file (a cluster may start a task twice) each
    rename a whole one.
    """
    temporary = path.with_name(f".{path.name[:100]}.{uuid.uuid4().hex[:12]}{TEMPORARY_SUFFIX}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_bytes(data)


def remove_leftovers(folder: Path) -> int:
    """Remove the temporary files that a killed run left in `folder`; returns how many there were."""
    removed = 0
    if folder.is_dir():
        for entry in os.scandir(folder):
            if entry.name.startswith(".") and entry.name.endswith(TEMPORARY_SUFFIX):
                Path(entry.path).unlink(missing_ok=True)
                removed += 1
    return removed
