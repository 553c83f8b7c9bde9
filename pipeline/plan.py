"""Planning a stage: which clips are to do, given what the ledgers say of this stage and of those before it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.workspace.row import DONE, FAILED, Row

STAGES = ("frames", "keypoints", "poseflow", "handcrops", "shards")


@dataclass
class StagePlan:
    """What a stage has before it. `todo` and `ready` map a clip's id to its fingerprint in this stage."""

    stage: str
    ready: dict[str, str] = field(default_factory=dict)  # every clip whose earlier stages are done
    todo: dict[str, str] = field(default_factory=dict)  # of those, what is not done, or done with another fingerprint
    waiting: list[str] = field(default_factory=list)  # clips whose earlier stages are not done
    new: int = 0
    changed: int = 0  # done or failed before, with another fingerprint
    retried: int = 0  # failed before, with this fingerprint
    lost: int = 0  # done, but the result file is gone, or another one

    def describe(self) -> str:
        """One line for people."""
        counts = {
            "new": self.new,
            "changed since": self.changed,
            "failed before": self.retried,
            "with a lost result": self.lost,
        }
        reasons = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        line = f"{self.stage}: {len(self.ready) - len(self.todo)} done, {len(self.todo)} to do"
        return line + (f" ({reasons})" if reasons else "")


def mtime_of(result: Path) -> dict[str, int]:
    """The fact by which `is_result` knows a file again. To be asked for where the file was written: another machine may
    see the one before for seconds."""
    return {"mtime_ns": result.stat().st_mtime_ns}


def is_result(row: Row, found: Sequence[int] | None) -> bool:
    """Whether a file with this size and mtime (ns) is the one that a row tells of; None: there is no file.

    The size is not enough: pose flow of one recipe is as large as that of another, and a driver that is killed may
    leave the file of settings that no row tells of. Rows of earlier versions tell no mtime.
    """
    return found is not None and found[0] == row.bytes and row.facts.get("mtime_ns", found[1]) == found[1]


def plan_stage(
    stage: str,
    ids: Iterable[str],
    fingerprints: Mapping[str, str],
    rows: Mapping[str, Row],
    results: Mapping[str, tuple[int, int]] | None,
) -> StagePlan:
    """Sort clips into done, to do and waiting.

    Args:
        stage: its name.
        ids: all clips.
        fingerprints: of the clips whose earlier stages are done, what this stage's fingerprint is now.
        rows: the stage's ledger.
        results: size in bytes and mtime (ns) of every result file there is, by id; None for a stage without files.
    """
    plan = StagePlan(stage)
    for sample_id in ids:
        current = fingerprints.get(sample_id)
        if current is None:
            plan.waiting.append(sample_id)
            continue
        plan.ready[sample_id] = current
        row = rows.get(sample_id)
        if row is None:
            plan.new += 1
        elif row.fingerprint != current:
            plan.changed += 1
        elif row.status == FAILED:
            plan.retried += 1
        elif results is not None and not is_result(row, results.get(sample_id)):
            plan.lost += 1
        else:
            continue
        plan.todo[sample_id] = current
    return plan


def done_facts(
    ids: Iterable[str], fingerprints: Mapping[str, str], rows: Mapping[str, Row]
) -> dict[str, dict[str, Any]]:
    """The facts of the clips that a stage has done with their current fingerprint."""
    facts = {}
    for sample_id in ids:
        row = rows.get(sample_id)
        if row is not None and row.status == DONE and row.fingerprint == fingerprints.get(sample_id):
            facts[sample_id] = row.facts
    return facts
