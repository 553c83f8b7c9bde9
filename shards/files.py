"""Writing files so that a file that exists is whole, and finding out before the work whether they can be written."""

import os
import re
import stat
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shards.errors import InputError

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{12}\.tmp")


@contextmanager
def whole_file(path: Path, follow: bool = True) -> Iterator[Path]:
    """A temporary path in the folder of `path`, renamed to `path` when the block succeeds and removed when it fails.

    The name is unlike any other writer's: two workers that write the same file (a cluster may start a task twice) each
    rename a whole one. A link is followed (see `_followed`). A device or a pipe, such as /dev/null, is written to, not
    replaced. OSErrors name `path`, as for `writing`.

    Args:
        path: of the file.
        follow: False replaces a link: for names in a folder of ours, which nobody typed, so that a link may lead to
            another's file.
    """
    if path.exists() and not path.is_file() and (follow or not path.is_symlink()):
        yield path
        return
    target = _followed(path) if follow and path.is_symlink() else path
    temporary = temporary_name(target)
    try:
        with writing(path, temporary):
            yield temporary
            temporary.replace(target)
    finally:
        with suppress(FileNotFoundError, NotADirectoryError):
            temporary.unlink()


def temporary_name(path: Path) -> Path:
    """An unused name beside `path`, of the form that `remove_leftovers` clears away."""
    return path.with_name(f".{path.name[:100]}.{uuid.uuid4().hex[:12]}.tmp")


def _followed(link: Path) -> Path:
    """The file that a link leads to, or the link itself where it leads nowhere or to a read-only file.

    git-annex and DVC link to files in a store and make them read-only: their bytes must stay, so the link is replaced.
    """
    target = Path(os.path.realpath(link))
    if target.is_symlink() or not target.parent.is_dir():  # a loop, or into a folder that is not there
        return link
    if target.exists() and not target.stat().st_mode & stat.S_IWUSR:
        return link
    return target


@contextmanager
def writing(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """A block that writes a file: an OSError that names no file, or the temporary one, then names this one.

    `shards.command_line` makes one line of it.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None or error.filename == str(temporary):
            error.filename = str(path)
        raise


def read_limited(path: Path, most: int = 1 << 28) -> bytes:
    """The content of a file of at most `most` bytes, which is more than any of its kind has.

    Raises:
        InputError: it is larger.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise InputError(f"{path}: larger than {most / 1e6:.0f} MB, which no file of its kind is")
    return data


def open_no_link(path: str, flags: int) -> int:
    """For `open(opener=...)`: an OSError where the path is a link, which could lead to a file that is not ours."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def write_whole(path: Path, data: bytes, follow: bool = True) -> None:
    """Write `data` to `path`, whole or not at all; see `whole_file`."""
    with whole_file(path, follow) as temporary:
        temporary.write_bytes(data)


def remove_leftovers(folder: Path) -> int:
    """Remove the temporary files that a killed `whole_file` left in `folder`; returns how many there were."""
    removed = 0
    if folder.is_dir():
        for entry in os.scandir(folder):
            if _TEMPORARY.fullmatch(entry.name):
                Path(entry.path).unlink(missing_ok=True)
                removed += 1
    return removed


def is_among(path: Path, others: Iterable[Path]) -> bool:
    """Whether a path is the same file as one of the others: however spelled, through links, or as a hard link."""
    here = _identities(path)
    return any(here & _identities(other) for other in others)


def _identities(path: Path) -> set[str | tuple[int, int]]:
    found: set[str | tuple[int, int]] = {os.path.realpath(path)}
    with suppress(OSError):  # not there yet
        status = path.stat()
        found.add((status.st_dev, status.st_ino))
    return found


def check_output(path: Path, *others: Path) -> None:
    """Make sure that a file can be written at `path`, and that a command does not read or write it already.

    Raises:
        InputError: its folder does not exist, it is a folder, or it is one of `others`.
    """
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path}: its folder does not exist; make it, or give another")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give a file")
    if is_among(path, others):
        raise InputError(f"{path}: has another part in this command already; give another file")
