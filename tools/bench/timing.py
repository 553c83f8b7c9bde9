"""Timing contenders against a limit, so that what else the machine does cannot flatter or hurt one of them."""

import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import click

Run = Callable[[], object]


@dataclass(frozen=True)
class Figure:
    """One row of a table: a contender's time, and the limit's share of it."""

    name: str
    seconds: float  # per unit of work, median of the repeats
    ratio: float | None  # limit ÷ contender, median over the repeats of each repeat's ratio; None for the limit itself
    goal: str = ""  # what the issue asks for
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A benchmark's result."""

    title: str
    unit: str  # of work: "clip", "sample", …
    figures: list[Figure]


def compare(
    limit: Run,
    contenders: Mapping[str, Run],
    units: int,
    repeats: int,
    before: Mapping[str, Run] | None = None,
    limit_units: int | None = None,
) -> tuple[float, dict[str, Any]]:
    """Run every contender in turn, `repeats` times, with the limit before and after each, so that a machine whose speed
    changes within minutes does not change the ratio; what `before` has for a name, or for "limit", is run first and not
    timed. `limit_units`: where the limit does not do `units`.

    Returns:
        The limit's seconds per unit, and by name (seconds per unit, limit ÷ contender), medians.
    """

    def seconds(name: str, run: Run) -> float:
        if before and name in before:
            before[name]()
        return _time(run) / (limit_units or units if name == "limit" else units)

    limits = [seconds("limit", limit)]
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, run in contenders.items():
            taken = seconds(name, run)
            limits.append(seconds("limit", limit))
            found[name].append((taken, (limits[-2] + limits[-1]) / 2 / taken))
    medians = {name: tuple(map(statistics.median, zip(*pairs, strict=True))) for name, pairs in found.items()}
    return statistics.median(limits), medians


def table(
    title: str,
    unit: str,
    limit_name: str,
    measured: tuple[float, dict[str, Any]],
    goals: Mapping[str, str] | None = None,
) -> Table:
    """The table of a `compare`."""
    base, medians = measured
    rows = [Figure(limit_name, base, None)]
    rows += [Figure(name, seconds, ratio, (goals or {}).get(name, "")) for name, (seconds, ratio) in medians.items()]
    return Table(title, unit, rows)


def pin(core: int | None = None) -> None:
    """Keep this process and its children on one core (the last one)."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1] if core is None else core})


def show(tables: list[Table]) -> None:
    """Print the tables."""
    for one in tables:
        click.echo(f"\n{one.title}")
        click.echo(f"{'':<46}{'ms/' + one.unit:>12}{one.unit + 's/s':>12}{'of limit':>10}  goal")
        for row in one.figures:
            ratio = "limit" if row.ratio is None else f"{row.ratio:.2f}"
            rate = 1 / row.seconds if row.seconds else float("inf")
            click.echo(
                f"{row.name:<46}{row.seconds * 1000:>12.2f}{rate:>12.1f}{ratio:>10}  {row.goal} {row.note}".rstrip()
            )


def as_json(tables: list[Table]) -> list[dict[str, Any]]:
    """The tables for `--json`."""
    return [asdict(one) for one in tables]


def _time(run: Run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
