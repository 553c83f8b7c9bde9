"""Timing contenders against a limit, so that what else the machine does cannot flatter or hurt one of them."""

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import click


@dataclass(frozen=True)
class Contender:
    """Work to be timed. Where `run` returns a float, it is the seconds that count instead of those on the clock."""

    name: str
    run: Callable[[], object]
    units: int  # of work that a run does
    goal: str = ""
    before: Callable[[], object] | None = None  # done before every run, and not timed


@dataclass(frozen=True)
class Measurement:
    """What was measured of a contender, all runs in order."""

    name: str
    seconds: list[float]  # per unit of work
    ratios: list[float] = field(default_factory=list)  # limit ÷ contender; none for the limit itself
    goal: str = ""

    def text(self) -> str:
        """Medians, as a line of a table."""
        seconds = statistics.median(self.seconds)
        ratio = f"{statistics.median(self.ratios):.2f}" if self.ratios else "limit"
        return f"{self.name:<46}{1000 * seconds:>10.2f}{1 / seconds:>10.1f}{ratio:>10}  {self.goal}".rstrip()


@dataclass(frozen=True)
class Table:
    """A benchmark's result; the limit's row comes first."""

    title: str
    unit: str  # of work: "clip", "sample", …
    rows: list[Measurement]

    def text(self) -> str:
        """The table as it is printed."""
        head = f"{'':<46}{'ms/' + self.unit:>10}{self.unit + 's/s':>10}{'of limit':>10}  goal"
        return "\n".join(["", self.title, head, *(row.text() for row in self.rows)])


def compare(title: str, unit: str, limit: Contender, contenders: Sequence[Contender], rounds: int) -> Table:
    """Run every contender in turn, `rounds` times, with the limit before and after each: a machine whose speed changes
    within minutes does not change the ratio, which is taken to the mean of the two."""
    limits = [_seconds(limit)]
    rows = [Measurement(one.name, [], [], one.goal) for one in contenders]
    for number in range(rounds):
        click.echo(f"{title}: round {number + 1} of {rounds}", err=True)
        for contender, row in zip(contenders, rows, strict=True):
            row.seconds.append(_seconds(contender))
            limits.append(_seconds(limit))
            row.ratios.append((limits[-2] + limits[-1]) / 2 / row.seconds[-1])
    return Table(title, unit, [Measurement(limit.name, limits), *rows])


def _seconds(contender: Contender) -> float:
    """Of one run, per unit of work."""
    if contender.before:
        contender.before()
    start = time.perf_counter()
    result = contender.run()
    seconds = result if isinstance(result, float) else time.perf_counter() - start
    return seconds / contender.units


@contextmanager
def on_cores(count: int) -> Iterator[None]:
    """Inside, this process and the children that it starts stay on `count` of its cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[-count:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
