"""Files that commands write: whether they can be, said before the work starts, and errors that name the file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shards.errors import InputError
from shards.files import is_among, whole_file


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
