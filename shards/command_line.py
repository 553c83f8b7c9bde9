"""What the command lines have in common: one-line errors, safe output, options of several values, typed settings."""

import errno
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import click

from shards.errors import InputError, OneLineError, escaped
from shards.format.pattern import expand_files

Settings = TypeVar("Settings")
# What `train`, `predict` and `evaluate` need besides what the other commands do.
_TRAIN_EXTRA = ("torch", "torchvision", "tensorboard", "scipy")
# Of these the command line is to blame, of a full disk, say, it is not.
_WRONG_PATH = (FileNotFoundError, NotADirectoryError, IsADirectoryError, FileExistsError, PermissionError)
_WRONG_NAME = (errno.ENAMETOOLONG, errno.ELOOP)  # which have no class of their own
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


# --version of every command; the number is looked up only when it is asked for.
version_option = click.version_option(package_name="signshards", message="%(prog)s of signshards %(version)s")


def counted(count: int, noun: str) -> str:
    """ "1 sample", "2 samples", "2 classes"."""
    return f"{count} {noun}" + ("" if count == 1 else "es" if noun.endswith("s") else "s")


def print_line(text: str, err: bool = False) -> None:
    """Print one line, escaped, on stdout, or on stderr with `err`."""
    click.echo(escaped(text), err=err)


@contextmanager
def _one_line() -> Iterator[None]:
    """Make an OSError one line on stderr, with exit status 2 for a wrong path, else 1.

    This is the only place that words them; what writes files sees to it that the error names the file (see
    `shards.files.writing`).
    """
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
        hint = "; make room, or give another place" if error.errno in _NO_ROOM else ""
        to_blame = isinstance(error, _WRONG_PATH) or error.errno in _WRONG_NAME
        kind = InputError if to_blame else OneLineError
        raise kind(f"{where}cannot be read or written ({error.strerror or error}){hint}") from error


def _open_standard_streams() -> None:
    """Open /dev/null where a cron job or a service closed stdin, stdout or stderr.

    The next file that is opened would take its number, and messages would be written into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it gets the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))


class _OneLineCommand(click.Command):
    """A command, or a group of them, of which an OSError is one line."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line."""
        _open_standard_streams()
        return super().main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _one_line():
            return super().invoke(ctx)


class Command(_OneLineCommand):
    """A command, of which an OSError is one line, and whose options may be in groups and have had other names."""

    def __init__(
        self,
        *args: Any,
        groups: Mapping[str, Sequence[str]] = MappingProxyType({}),
        old_names: Mapping[str, str] = MappingProxyType({}),
        **kwargs: Any,
    ) -> None:
        """Make it.

        Args:
            args: as click has them.
            groups: heading in `--help`: the parameters under it; what is in none of them comes under "Options".
            old_names: `--name` that an option had in earlier versions, and still may be given by: its name now.
            kwargs: as click has them.
        """
        super().__init__(*args, **kwargs)
        self.groups, self.old_names = groups, old_names

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Click's hook: the options under their headings."""
        heading = {parameter: group for group, names in self.groups.items() for parameter in names}
        lines: dict[str, list[tuple[str, str]]] = {group: [] for group in [*self.groups, "Options"]}
        for parameter in self.get_params(ctx):
            if record := parameter.get_help_record(ctx):
                lines[heading.get(parameter.name or "", "Options")].append(record)
        for group, records in lines.items():
            if records:
                with formatter.section(group):
                    formatter.write_dl(records)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Click's hook."""
        words = [argument.partition("=") for argument in args]
        args = [f"{self.old_names.get(name, name)}{sign}{value}" for name, sign, value in words]
        try:
            return super().parse_args(ctx, args)
        except click.BadOptionUsage as error:
            if any(isinstance(one.type, ShardPattern) and error.option_name in one.opts for one in self.params):
                raise InputError(f"{error.message.rstrip('.')}; {_REDIRECTED}") from error
            raise


class Commands(_OneLineCommand, click.Group):
    """Subcommands, of which an OSError is one line."""

    command_class = Command


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


# What is left of an unquoted train-<000..099>.tar, once the shell has read from the one file and written to the other.
_REDIRECTED = "a shell takes <000..099> and >.tar for redirections: quote the pattern, 'train-<000..099>.tar'"


class ShardPattern(click.ParamType):
    """A PATTERN of shards, refused where it is what a shell leaves of one that was not quoted."""

    name = "pattern"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Click's hook."""
        # An option whose value the shell took finds the next option's name.
        cut = value.endswith("-") and not os.path.exists(value)  # noqa: PTH110 (Path's own raises for a long list)
        if not value.strip() or cut or value.startswith("--"):
            name = f"{param.opts[0]}: " if param else ""
            raise InputError(f"{name}{value!r} names no shards; {_REDIRECTED}")
        return value


def file_patterns(in_folders: str = "") -> Callable[[click.Context, click.Parameter, Sequence[Path]], tuple[Path, ...]]:
    """The `callback` of an option of several files, which then takes quoted patterns, too: see `expand_files`."""

    def expand(_context: click.Context, _option: click.Parameter, names: Sequence[Path]) -> tuple[Path, ...]:
        return tuple(expand_files(names, in_folders))

    return expand


class NumberPair(click.ParamType):
    """Two numbers in one value, `640x480` or `500,4000`."""

    name = "pair"

    def __init__(self, kind: type, separator: str) -> None:
        self.kind, self.separator = kind, separator

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any, ...]:
        """Click's hook."""
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(self.kind(part) for part in value.lower().split(self.separator))
        except ValueError:
            numbers = ()
        if len(numbers) != 2 or min(numbers) < 0 or not all(map(math.isfinite, numbers)):
            self.fail(f"{value!r}: expected two numbers with {self.separator!r} between them", param, ctx)
        return numbers
