"""`shards reshard` as typed: read the options, plan, copy, say what came of it."""

from pathlib import Path
from typing import NamedTuple

import click

from shards.commands.reshard import reshard
from shards.commands.reshard_plan import Source, make_plan, read_sources, select
from shards.commands.split_plan import Labelled, describe
from shards.errors import InputError
from shards.tables import read_assignment


class ReshardOptions(NamedTuple):
    """What is to change, as typed."""

    assign: Path | None
    samples_per_shard: int
    classes: str | None
    signers: str | None
    drop: tuple[str, ...]


def reshard_command(patterns: tuple[str, ...], out: Path, options: ReshardOptions, jobs: int) -> None:
    """Make the new shard set and print what is in it.

    Raises:
        InputError: see `read_sources`, `select` and `reshard`.
    """
    dataset, sources = read_sources(patterns)
    assignment = read_assignment(options.assign) if options.assign else None
    signers = None if options.signers is None else {part.strip() for part in options.signers.split(",")}
    chosen = select(sources, assignment, _classes(options.classes), signers)
    if assignment is not None and (idle := len(assignment.keys() - {source.id for source in sources})):
        click.echo(f"{options.assign}: {idle} of its ids are not in the shards", err=True)
    if len(chosen) < len(sources):
        click.echo(f"{len(sources) - len(chosen)} of {len(sources)} samples are left out", err=True)
    for line in describe(*_described(chosen)):
        click.echo(line, err=line.startswith("warning"))
    outcome = reshard(make_plan(dataset, chosen, options.samples_per_shard, options.drop), out, jobs)
    kept = f", {outcome.kept} were there already" if outcome.kept else ""
    shards = f"{outcome.written + outcome.kept} shards{kept}"
    click.echo(f"{out}: {shards}, {outcome.samples} samples, {outcome.bytes / 1e6:.1f} MB")


def _described(chosen: list[Source]) -> tuple[Labelled, list[str]]:
    ids, labels = [source.id for source in chosen], [source.label for source in chosen]
    return Labelled(ids, labels, [source.signer for source in chosen]), [source.split for source in chosen]


def _classes(text: str | None) -> set[int] | None:
    if text is None:
        return None
    try:
        return {int(part) for part in text.split(",")}
    except ValueError as error:
        raise InputError(f"--classes {text}: expected numbers of classes, as in 0,3") from error
