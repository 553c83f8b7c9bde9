"""Writing files so that a file that exists is whole, and saying before the work starts whether they can be written."""

import os
import re
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from shards.errors import InputError

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


def check_output(path: Path, *others: Path) -> None:
    """InputError where no file can be written at `path`, or it is one of the others that a command reads or writes."""
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path}: its folder does not exist; make it, or give another")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give a file")
    if is_among(path, others):
        raise InputError(f"{path}: has another part in this command already; give another file")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """A block that writes a file; its OSErrors become InputErrors.

    Raises:
        InputError: the file cannot be written.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{path}: cannot be written ({reason}); make room, or give another place") from error


@contextmanager
def output_file(path: Path) -> Iterator[Path]:
    """A temporary path for a file that is to be written whole or not at all, see `shards.files.whole_file`.

    Raises:
        InputError: the file cannot be written.
    """
    with writing(path), whole_file(path) as temporary:
        yield temporary
