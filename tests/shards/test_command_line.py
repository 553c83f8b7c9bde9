"""What a command says when the file system refuses."""

import errno
import os

import click
import pytest
from click.testing import CliRunner

from shards.command_line import Command, Commands, spread


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOENT, 2),
        (errno.EACCES, 2),
        (errno.ENAMETOOLONG, 2),
        (errno.ELOOP, 2),
        (errno.ENOSPC, 1),
        (errno.EIO, 1),
    ],
)
def test_an_os_error_is_one_line_that_names_the_file(number: int, code: int) -> None:
    @click.group(cls=Commands)
    def main() -> None: ...

    @main.command()
    def work() -> None:
        raise OSError(number, os.strerror(number), "some/file")

    result = CliRunner().invoke(main, ["work"])
    said = f"Error: some/file: cannot be read or written ({os.strerror(number)})\n"
    assert (result.exit_code, result.output) == (code, said)


def test_so_it_is_of_a_command_without_subcommands() -> None:
    @click.command(cls=Command)
    def main() -> None:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), "some/file")

    result = CliRunner().invoke(main)
    assert (result.exit_code, result.output) == (2, "Error: some/file: cannot be read or written (Permission denied)\n")


def test_a_broken_pipe_is_left_to_click() -> None:
    @click.group(cls=Commands)
    def main() -> None: ...

    @main.command()
    def work() -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    assert CliRunner().invoke(main, ["work"]).output == ""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("--logits a b --labels c", "--logits a --logits b --labels c"),
        ("--logits a --logits b", "--logits a --logits b"),
        ("--labels c --logits a b c", "--labels c --logits a --logits b --logits c"),
        (
            "--logits a b --val-logits c d --labels e f",
            "--logits a --logits b --val-logits c --val-logits d --labels e f",
        ),
        ("--logits=a b", "--logits=a b"),
        ("x --logits", "x --logits"),
        ("", ""),
    ],
)
def test_spread(given, expected):
    assert spread(given.split(), ["--logits", "--val-logits"]) == expected.split()
