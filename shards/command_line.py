"""What the command lines have in common: what the file system refuses is one line, never a traceback."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from shards.errors import InputError

# Of these the command line is to blame, of a full disk, say, it is not.
_WRONG_PATH = (FileNotFoundError, NotADirectoryError, IsADirectoryError, FileExistsError, PermissionError)
_WRONG_NAME = (errno.ENAMETOOLONG, errno.ELOOP)  # which have no class of their own


@contextmanager
def _one_line() -> Iterator[None]:
    """Make an OSError one line on stderr: exit status 2 for a wrong path, else 1."""
    try:
        yield
    except BrokenPipeError:
        raise  # of `shards list | head`; click ends quietly
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        to_blame = isinstance(error, _WRONG_PATH) or error.errno in _WRONG_NAME
        kind = InputError if to_blame else click.ClickException
        raise kind(f"{where}cannot be read or written ({error.strerror or error})") from error


class Command(click.Command):
    """A command, of which an OSError is one line."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _one_line():
            return super().invoke(ctx)


class Commands(click.Group):
    """Subcommands, of which an OSError is one line."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand."""
        with _one_line():
            return super().invoke(ctx)
