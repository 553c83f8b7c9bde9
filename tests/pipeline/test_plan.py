"""Which clips are to do, and why."""

from pipeline.plan import StagePlan, plan_stage
from pipeline.workspace.clip import Clip, Sample
from pipeline.workspace.row import DONE, FAILED, LedgerRow

PRINTS = {"same": "1", "changed": "2", "failed": "1", "failed-changed": "2", "new": "1", "lost": "1", "cut": "1"}
ROWS = {
    "same": LedgerRow("same", DONE, "1", bytes=5, facts={"frames": 3}),
    "changed": LedgerRow("changed", DONE, "1", bytes=5),
    "failed": LedgerRow("failed", FAILED, "1", error="x"),
    "failed-changed": LedgerRow("failed-changed", FAILED, "1", error="x"),
    "lost": LedgerRow("lost", DONE, "1", bytes=5),
    "cut": LedgerRow("cut", DONE, "1", bytes=5),
    "removed": LedgerRow("removed", DONE, "1", bytes=5),
}
RESULTS = {"same": (5, 1), "changed": (5, 1), "cut": (4, 1), "removed": (5, 1), "new": (5, 1)}


def clips() -> list[Clip]:
    return [
        Clip(Sample(key, "train", "", None, "/x", None), None, None, {"poseflow": value})
        for key, value in PRINTS.items()
    ]


def test_every_clip_is_done_or_to_do() -> None:
    plan = plan_stage("poseflow", clips(), ROWS, RESULTS, lambda row: False)
    assert [clip.id for clip in plan.done] == ["same"]
    assert [clip.id for clip in plan.todo] == [key for key in PRINTS if key != "same"]
    assert (plan.new, plan.changed, plan.retried, plan.lost) == (1, 2, 1, 2)
    line = "poseflow: 1 done, 6 to do (1 new, 2 changed since, 1 failed before, 2 with a lost result)"
    assert plan.describe() == line
    assert plan.describe(3) == f"{line}, 3 without video passed by"


def test_a_result_with_another_time_may_have_the_right_bytes() -> None:
    plan = plan_stage("poseflow", clips(), ROWS, RESULTS, lambda row: row.id == "cut")
    assert [clip.id for clip in plan.done] == ["same", "cut"]


def test_a_stage_without_files_loses_none() -> None:
    plan = plan_stage("poseflow", clips(), ROWS, None, lambda row: False)
    assert {clip.id for clip in plan.todo} == {"changed", "failed", "failed-changed", "new"}
    assert StagePlan("frames").describe() == "frames: 0 done, 0 to do"
