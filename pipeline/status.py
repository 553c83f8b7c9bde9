"""What was done: the summary at the end of a run, and `pipeline status`, which asks the ledgers."""

import json
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np

from pipeline.workspace.driver_lock import Part
from pipeline.workspace.ledger import read_ledger_rows
from pipeline.workspace.manifest import read_manifest
from pipeline.workspace.paths import STAGES, Workspace
from pipeline.workspace.row import DONE, FAILED, LedgerRow
from shards.command_line import print_line
from shards.format.hand_shares import HandShares, share_lines

SOME_FAILED = 3  # exit status
_SHOWN = 10


@dataclass(frozen=True)
class StageSummary:
    """What came of a stage, for the summary."""

    stage: str
    done: int  # all in all
    now: int  # of those, in this run
    failed: list[LedgerRow] = field(default_factory=list)
    waiting: int = 0  # clips that an earlier stage has not done
    warnings: list[str] = field(default_factory=list)  # `<id>: <what is odd>`, of clips that are done
    hands: HandShares | None = None  # None: the stage cuts none


def summarize(
    outcomes: Sequence[StageSummary], workspace: Workspace, shards: Path, part: Part | None, unknown: str = ""
) -> int:
    """Print what came of the run; returns its exit status. `unknown` says which labels are of no clip."""
    print_line("")
    for outcome in outcomes:
        if outcome.hands:
            _show_hands(outcome.hands, outcome.done)
            print_line("")
    print_line("stage       done  new  failed  waiting")
    for outcome in outcomes:
        failed, waiting = len(outcome.failed), outcome.waiting
        print_line(f"{outcome.stage:<10}{outcome.done:>6} {outcome.now:>4} {failed:>7} {waiting:>8}")
    failures = [(outcome.stage, row) for outcome in outcomes for row in outcome.failed]
    for stage, row in failures[:_SHOWN]:
        print_line(f"failed: {row.id} ({stage}): {row.error}", err=True)
    if len(failures) > _SHOWN:
        more = f"`pipeline status --work {workspace.root} --failed`"
        print_line(f"… and {len(failures) - _SHOWN} more: {more}", err=True)
    show_warnings(outcomes)
    if unknown:
        print_line(unknown, err=True)
    if outcomes and outcomes[-1].stage == STAGES[-1] and outcomes[-1].done and not outcomes[-1].failed:
        print_line(f"shards: {shards}")
    if part:
        print_line(f"part {part.number}/{part.count}; when all are done: --stage shards, without --part")
    sys.stdout.flush()
    return SOME_FAILED if failures or unknown else 0


def hand_shares(rows: Iterable[LedgerRow]) -> HandShares | None:
    """In how many frames the hands of clips were found, by the rows of the stage that cuts them.

    None where no row says it: they are of another stage, or of an earlier version.
    """
    known = [(row.id, row.facts) for row in rows if "guessed" in row.facts]
    if not known:
        return None
    counts = np.array([[facts["guessed"], facts["missing"]] for _, facts in known])
    frames = np.array([facts["frames"] for _, facts in known])
    return HandShares([key for key, _ in known], frames, counts.transpose(0, 2, 1))


def _show_hands(hands: HandShares, done: int) -> None:
    for line in share_lines({"all clips": hands}):
        print_line(line)
    if len(hands) < done:
        print_line(f"the hands of {done - len(hands)} clips, cut by an earlier version, are not counted")


def show_warnings(outcomes: Iterable[StageSummary]) -> None:
    """Print a warning of each kind, with the number of its clips: a data set tends to have one for every clip."""
    kinds: dict[str, list[str]] = {}
    for line in (line for outcome in outcomes for line in outcome.warnings):
        _, _, reason = line.partition(": ")
        kinds.setdefault(re.sub(r"\d+(\.\d+)?", "…", reason), []).append(line)
    for lines in list(kinds.values())[:_SHOWN]:
        print_line(f"warning: {lines[0]}" + (f" (and {len(lines) - 1} clips like it)" if lines[1:] else ""), err=True)
    if len(kinds) > _SHOWN:
        print_line(f"… and {len(kinds) - _SHOWN} other kinds of warnings", err=True)


def collect(work: Path) -> tuple[dict[str, Any], HandShares | None]:
    """What `--json` prints: clips (shards, in the last stage) done, failed and to do, failures, hands; and the last."""
    workspace = Workspace(work)
    samples = read_manifest(workspace.manifest)
    with_video = {sample.id for sample in samples if sample.color}
    stages: list[dict[str, Any]] = []
    failures: list[dict[str, str]] = []
    hands: HandShares | None = None
    for stage in STAGES:
        rows = read_ledger_rows(workspace.ledgers, stage, facts=stage == "handcrops")
        ids = with_video if stage == "handcrops" else {sample.id for sample in samples}
        if stage != STAGES[-1]:
            rows = {key: row for key, row in rows.items() if key in ids}
        done = sum(row.status == DONE for row in rows.values())
        failed = [row for row in rows.values() if row.status == FAILED]
        entry: dict[str, Any] = {"stage": stage, "done": done, "failed": len(failed)}
        # How many shards there will be is the shards stage's own plan.
        entry["todo"] = len(ids) - done - len(failed) if stage != STAGES[-1] else None
        entry["seconds"] = round(sum((row.seconds for row in rows.values()), 0.0), 1)
        entry["bytes"] = sum(row.bytes for row in rows.values())
        stages.append(entry)
        failures += [{"stage": stage, "id": row.id, "error": row.error} for row in failed]
        hands = hands or hand_shares(row for row in rows.values() if row.status == DONE)
    totals = hands and {"clips": len(hands), **hands.totals()}
    return {"clips": len(samples), "stages": stages, "hands": totals, "failures": failures}, hands


def show_status(work: Path, failed: bool, as_json: bool) -> None:
    """Print the status of a workspace, or only its failures."""
    status, hands = collect(work)
    if as_json:
        click.echo(json.dumps(status["failures"] if failed else status, indent=1))  # ASCII, so nothing to escape
        return
    if not failed:
        print_line(f"{status['clips']} clips")
        print_line("stage       done  failed   to do   core-seconds        MB")
        for entry in status["stages"]:
            todo = "" if entry["todo"] is None else entry["todo"]
            numbers = (
                f"{entry['done']:>6}{entry['failed']:>8}{todo:>8}{entry['seconds']:>15}{entry['bytes'] / 1e6:>10.1f}"
            )
            print_line(f"{entry['stage']:<10}{numbers}")
        if hands:
            print_line("")
            _show_hands(hands, next(entry["done"] for entry in status["stages"] if entry["stage"] == "handcrops"))
        return
    for failure in status["failures"]:
        print_line(f"{failure['id']} ({failure['stage']}): {failure['error']}")
