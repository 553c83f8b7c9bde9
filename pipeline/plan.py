"""Planning a stage: which clips are to do, given what its ledger says and which result files there are."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from pipeline.workspace.clip import Clip
from pipeline.workspace.result import is_result
from pipeline.workspace.row import FAILED, LedgerRow


@dataclass
class StagePlan:
    """What a stage has before it, of the clips that have come through the stages before."""

    stage: str
    done: list[Clip] = field(default_factory=list)
    todo: list[Clip] = field(default_factory=list)  # the sum of the counts below
    new: int = 0
    changed: int = 0  # done or failed before, with another fingerprint
    retried: int = 0  # failed before, with this fingerprint
    lost: int = 0  # done, but the result file is gone, or another one

    def describe(self, passed_by: int = 0) -> str:
        """One line for people."""
        counts = {
            "new": self.new,
            "changed since": self.changed,
            "failed before": self.retried,
            "with a lost result": self.lost,
        }
        reasons = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        line = f"{self.stage}: {len(self.done)} done, {len(self.todo)} to do" + (f" ({reasons})" if reasons else "")
        return line + (f", {passed_by} without video passed by" if passed_by else "")


def plan_stage(
    stage: str,
    clips: Iterable[Clip],
    rows: Mapping[str, LedgerRow],
    results: Mapping[str, tuple[int, int]] | None,
    restore: Callable[[LedgerRow], bool],
) -> StagePlan:
    """Sort clips into done and to do.

    Args:
        stage: its name.
        clips: with their fingerprint in this stage.
        rows: the stage's ledger.
        results: size in bytes and mtime (ns) of every result file there is, by id; None for a stage without files.
        restore: of a row whose result file has another size or time: whether it has the right bytes after all.
    """
    plan = StagePlan(stage)
    for clip in clips:
        row = rows.get(clip.id)
        if row is None:
            plan.new += 1
        elif row.fingerprint != clip.fingerprints[stage]:
            plan.changed += 1
        elif row.status == FAILED:
            plan.retried += 1
        elif results is not None and not is_result(row, results.get(clip.id)) and not restore(row):
            plan.lost += 1
        else:
            plan.done.append(clip)
            continue
        plan.todo.append(clip)
    return plan
