"""What a command says when the file system refuses."""

import errno
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from shards.command_line import (
    Command,
    Commands,
    ShardPattern,
    print_line,
    settings_from,
    spread,
)
from shards.remote.cache import cache_options


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
    (line,) = result.output.splitlines()
    assert result.exit_code == code
    assert line.startswith("Error: some/file: ")
    assert os.strerror(number) in line
    assert ("make room" in line) == (number == errno.ENOSPC)


def test_options_come_in_groups_and_old_names_are_taken() -> None:
    @click.command(cls=Command, groups={"Input": ("data",)}, old_names={"--out": "--into"})
    @click.option("--into", help="Where to.")
    @click.option("--data", help="What.")
    def main(into: str, data: str) -> None:
        click.echo(f"{data} {into}")

    said = CliRunner().invoke(main, ["--help"]).output
    assert said.index("Input:") < said.index("--data") < said.index("Options:") < said.index("--into")
    assert "--out" not in said
    for given in (["--out", "x"], ["--out=x"], ["--into=x"]):
        assert CliRunner().invoke(main, ["--data=--out=y", *given]).output == "--out=y x\n"


def test_so_it_is_of_a_command_without_subcommands() -> None:
    @click.command(cls=Command)
    def main() -> None:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), "some/file")

    result = CliRunner().invoke(main)
    assert result.exit_code == 2
    assert result.output.startswith("Error: some/file: ")


def test_lines_are_safe_for_a_terminal() -> None:
    @click.group(cls=Commands)
    def main() -> None: ...

    @main.command()
    def work() -> None:
        print_line("işaret \x1b[2K日本語")
        print_line("two\nlines", err=True)
        raise OSError(errno.EIO, "no", "bad\x9bname")

    result = CliRunner().invoke(main, ["work"])
    assert result.stdout == "işaret \\x1b[2K日本語\n"
    assert result.stderr.splitlines()[0] == "two\\nlines"
    assert "bad\\x9bname" in result.stderr
    assert len(result.stderr.splitlines()) == 2


@dataclass(frozen=True)
class Chosen:
    size: int
    name: str = "x"
    place: str = ""


def test_settings_take_the_options_of_their_names() -> None:
    assert settings_from({"size": 3, "other": 4}, Chosen, place="here") == Chosen(3, "x", "here")
    with pytest.raises(TypeError):
        settings_from({"name": "y"}, Chosen)


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


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_dev_null_also_for_children(tmp_path: Path, closed: str) -> None:
    code = """
import os, subprocess, sys, click
from shards.command_line import Command, print_line
@click.command(cls=Command)
def main():
    with open("mine", "w") as mine:
        print_line("said")
        print_line("said", err=True)
        subprocess.run([sys.executable, "-c", "import sys; sys.stderr.write('child')"], check=True)
main()
"""
    done = subprocess.run(
        ["sh", "-c", f'exec "{sys.executable}" -c "$1" {closed}', "sh", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == 0
    assert (tmp_path / "mine").read_text() == ""


@pytest.mark.parametrize("arguments", [[""], ["shards/train-"], ["--cache", "c"], []])
def test_what_a_shell_leaves_of_an_unquoted_pattern_is_one_line(arguments: list[str]) -> None:
    @click.command(cls=Command)
    @click.option("--shards", type=ShardPattern())
    @cache_options
    def command(**options: object) -> None: ...

    result = CliRunner().invoke(command, ["--shards", *arguments])
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "'train-<000..099>.tar'" in result.stderr


def test_a_folder_may_end_in_a_dash(tmp_path: Path) -> None:
    (tmp_path / "set-").mkdir()
    assert ShardPattern().convert(f"{tmp_path}/set-", None, None) == f"{tmp_path}/set-"
