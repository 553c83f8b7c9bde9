"""What the command lines have in common: one-line errors, options of several values, options as dataclasses."""

import errno
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, TypeVar

import click

from shards.errors import InputError

Settings = TypeVar("Settings")
# What `train`, `predict` and `evaluate` need besides what the other commands do.
_TRAIN_EXTRA = ("torch", "torchvision", "tensorboard", "scipy", "sklearn")
# Of these the command line is to blame, of a full disk, say, it is not.
_WRONG_PATH = (FileNotFoundError, NotADirectoryError, IsADirectoryError, FileExistsError, PermissionError)
_WRONG_NAME = (errno.ENAMETOOLONG, errno.ELOOP)  # which have no class of their own


@contextmanager
def _one_line() -> Iterator[None]:
    """Make an OSError one line on stderr: exit status 2 for a wrong path, else 1."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _TRAIN_EXTRA:
            raise
        raise InputError(f"{package} is not installed here: pip install 'signshards[train]'") from error
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


def spread(arguments: Sequence[str], options: Sequence[str]) -> list[str]:
    """`--logits a b --labels c` → `--logits a --logits b --labels c`, for the options named: click's own form."""
    result: list[str] = []
    current = ""  # the option whose values are being read, after its first
    for argument in arguments:
        if argument.startswith("-"):
            current = ""
        elif result and result[-1] in options:
            current = result[-1]
        elif current:
            result.append(current)
        result.append(argument)
    return result


class ManyValuesCommand(Command):
    """A command whose options with `multiple=True` also take several values after one name."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Click's hook."""
        names = [name for option in self.params if getattr(option, "multiple", False) for name in option.opts]
        return super().parse_args(ctx, spread(args, names))


def settings_from(options: Mapping[str, Any], kind: type[Settings], **others: Any) -> Settings:
    """A dataclass of settings whose fields are named as the options; `others` gives fields that no option has."""
    names = {field.name for field in fields(kind) if field.init}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in options.items() if name in names} | others)
