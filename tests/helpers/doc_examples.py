"""Examples on pages of documentation: where they stand, running them, and comparing what they print.

An example is a `$ command` line in a fenced block marked `console`, followed by what it prints (both streams, as they
come) and, where the exit status is not 0, by a line `[exit 2]`. In the expected text `…` stands for anything within a
line, and alone on a line for any number of lines. In a block marked `console figures-vary` any number fits any other.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
from click.testing import CliRunner

from helpers.processes.pipeline_runs import without_tracker
from pipeline.cli import main as pipeline
from shards.cli import main as shards
from train.cli import main as train
from train.convert.cli import main as checkpoint
from train.evaluate.cli import main as evaluate
from train.predict.cli import main as predict

PROGRAMS: dict[str, click.Command] = {main[0]: main[1] for main in (
    ("pipeline", pipeline), ("train", train), ("predict", predict), ("evaluate", evaluate), ("shards", shards),
    ("checkpoint", checkpoint)
)}  # fmt: skip
_FENCE = re.compile(r"^```(.*)$")
_STATUS = re.compile(r"^\[exit (\d+)\]$")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    info: str  # what stands after ```
    line: int  # of its first line of text, from 1
    lines: list[str]


@dataclass(frozen=True)
class Example:
    """A command and what must come of it."""

    line: int
    command: str
    output: str
    status: int
    figures_vary: bool


def commands() -> dict[str, click.Command]:
    """Every command as it is typed: `pipeline run`, `train`, …."""
    found = {}
    for name, program in PROGRAMS.items():
        if isinstance(program, click.Group):
            found |= {f"{name} {inner}": command for inner, command in program.commands.items()}
        else:
            found[name] = program
    return found


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a page."""
    info, start, inside = None, 0, []
    for number, line in enumerate(text.splitlines(), 1):
        fence = _FENCE.match(line)
        if info is None:
            if fence:
                info, start, inside = fence[1].strip(), number + 1, []
        elif fence:
            yield Block(info, start, inside)
            info = None
        else:
            inside.append(line)


def examples(text: str) -> list[Example]:
    """The examples of a page, in order."""
    found = []
    for block in blocks(text):
        if block.info.split()[:1] == ["console"]:
            found += _of_block(block)
    return found


def _of_block(block: Block) -> Iterator[Example]:
    rest = list(enumerate(block.lines, block.line))
    while rest:
        number, line = rest.pop(0)
        if not line.startswith("$ "):
            raise ValueError(f"line {number}: output without a command: {line!r}")
        command = line[2:]
        while command.endswith("\\"):
            command = f"{command[:-1]} {rest.pop(0)[1].strip()}"
        output, status = [], 0
        while rest and not rest[0][1].startswith("$ "):
            text = rest.pop(0)[1]
            if match := _STATUS.match(text):
                status = int(match[1])
            else:
                output.append(text)
        yield Example(number, command, "\n".join(output), status, "figures-vary" in block.info)


def run(command: str) -> tuple[int, str]:
    """Exit status and output of a command, in the working directory.

    Our own commands run in this process, since torch takes seconds to import; bash splits and expands their words.
    """
    program = PROGRAMS.get(command.split()[0])
    if program is None:
        done = _bash(command)
        return done.returncode, without_tracker(done.stdout)
    words = _bash(f"printf '%s\\0' {command}").stdout.split("\0")[1:-1]
    result = CliRunner().invoke(program, words, prog_name=command.split()[0])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def _bash(command: str) -> "subprocess.CompletedProcess[str]":
    line = ["bash", "-c", f"set -o pipefail; {command}"]
    # Where our commands stand in a longer line, they are processes of their own.
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.run(line, env=environment, text=True, timeout=60, check=False, **streams)


def matches(expected: str, actual: str, figures_vary: bool = False) -> bool:
    """Whether a command printed what the page says."""
    expected, actual = (_tidy(text, figures_vary) for text in (expected, actual))
    pattern = "\n".join(re.escape(line).replace("…", "[^\n]*") for line in expected.splitlines())
    # A line of its own: any number of lines, also none.
    pattern = re.sub(r"^\[\^\n\]\*$\n?", "(?:[^\n]*\n)*?", f"{pattern}\n", flags=re.MULTILINE)
    return re.fullmatch(pattern, f"{actual}\n") is not None


def _tidy(text: str, figures_vary: bool) -> str:
    lines = [line.rstrip() for line in text.strip("\n").splitlines()]
    if figures_vary:
        lines = [re.sub(r"\s+", " ", _NUMBER.sub("0", line)) for line in lines]
    return "\n".join(lines)


def options_of(command: click.Command) -> set[str]:
    """The long options that `--help` lists."""
    help_page = command.get_help(click.Context(command, max_content_width=1000))
    return {*re.findall(r"^\s+(?:-\w, )?(--[a-z][a-z-]*)", help_page, re.MULTILINE), "--help"}


def named_options(text: str) -> Iterator[tuple[str | None, str]]:
    """(command, option) for every option that a page names; the command is None where the text does not say it.

    Command lines are those of blocks marked `console` or `sh`, and code spans that begin with a command.
    """
    lines = []
    for block in blocks(text):
        if block.info.split()[:1] in (["console"], ["sh"]):
            joined = "\n".join(block.lines).replace("\\\n", " ")
            lines += [(line.removeprefix("$ "), False) for line in joined.splitlines()]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    lines += [(span.replace("\n", " "), True) for span in re.findall(r"`([^`]+)`", prose)]
    for line, is_span in lines:
        command = _command_of(line)
        if command or (is_span and line.startswith("--")):
            yield from ((command, option) for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", line))


def _command_of(line: str) -> str | None:
    try:
        words = shlex.split(line)
    except ValueError:  # a span with half a quotation
        words = line.split()
    return next((name for name in commands() if words[: len(name.split())] == name.split()), None)
