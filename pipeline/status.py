"""`pipeline status`: what the ledgers say, as a table or as JSON."""

import json
from pathlib import Path
from typing import Any

import click

from pipeline.plan import STAGES
from pipeline.workspace.ledger import read_rows
from pipeline.workspace.manifest import read_manifest
from pipeline.workspace.paths import Workspace
from pipeline.workspace.row import DONE, FAILED


def collect(work: Path) -> dict[str, Any]:
    """Per stage the number of clips (of shards, in the last stage) done, failed and to do; and the failures."""
    workspace = Workspace(work)
    ids = {sample.id for sample in read_manifest(workspace.manifest)}
    stages, failures = [], []
    for stage in STAGES:
        rows = read_rows(workspace.ledgers, stage, facts=False)
        if stage != "shards":
            rows = {key: row for key, row in rows.items() if key in ids}
        done = sum(row.status == DONE for row in rows.values())
        failed = [row for row in rows.values() if row.status == FAILED]
        entry: dict[str, Any] = {"stage": stage, "done": done, "failed": len(failed)}
        # How many shards there will be is the shards stage's own plan.
        entry["todo"] = len(ids) - done - len(failed) if stage != "shards" else None
        entry["seconds"] = round(sum((row.seconds for row in rows.values()), 0.0), 1)
        entry["bytes"] = sum(row.bytes for row in rows.values())
        stages.append(entry)
        failures += [{"stage": stage, "id": row.id, "error": row.error} for row in failed]
    return {"clips": len(ids), "stages": stages, "failures": failures}


def show_status(work: Path, failed: bool, as_json: bool) -> None:
    """Print the status of a workspace, or only its failures."""
    status = collect(work)
    if as_json:
        click.echo(json.dumps(status["failures"] if failed else status, indent=1, ensure_ascii=False))
        return
    if not failed:
        click.echo(f"{status['clips']} clips\nstage       done  failed   to do   core-seconds        MB")
        for entry in status["stages"]:
            todo = "" if entry["todo"] is None else entry["todo"]
            numbers = (
                f"{entry['done']:>6}{entry['failed']:>8}{todo:>8}{entry['seconds']:>15}{entry['bytes'] / 1e6:>10.1f}"
            )
            click.echo(f"{entry['stage']:<10}{numbers}")
        return
    for failure in status["failures"]:
        click.echo(f"{failure['id']} ({failure['stage']}): {failure['error']}")
