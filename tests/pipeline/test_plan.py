"""Which clips are to do, and why."""

import os
from pathlib import Path

from pipeline.plan import StagePlan, done_facts, is_result, mtime_of, plan_stage
from pipeline.workspace.fingerprint import stamp
from pipeline.workspace.row import DONE, FAILED, Row

PRINTS = {"same": "1", "changed": "2", "failed": "1", "failed-changed": "2", "new": "1", "lost": "1", "cut": "1"}
ROWS = {
    "same": Row("same", DONE, "1", bytes=5, facts={"frames": 3}),
    "changed": Row("changed", DONE, "1", bytes=5),
    "failed": Row("failed", FAILED, "1", error="x"),
    "failed-changed": Row("failed-changed", FAILED, "1", error="x"),
    "lost": Row("lost", DONE, "1", bytes=5),
    "cut": Row("cut", DONE, "1", bytes=5),
    "removed": Row("removed", DONE, "1", bytes=5),
}
RESULTS = {"same": (5, 1), "changed": (5, 1), "cut": (4, 1), "removed": (5, 1), "new": (5, 1)}


def test_every_clip_is_done_or_to_do_or_waiting() -> None:
    plan = plan_stage("poseflow", [*PRINTS, "waits"], PRINTS, ROWS, RESULTS)
    assert plan.ready == PRINTS
    assert plan.todo == {key: value for key, value in PRINTS.items() if key != "same"}
    assert plan.waiting == ["waits"]
    assert (plan.new, plan.changed, plan.retried, plan.lost) == (1, 2, 1, 2)
    assert plan.describe() == (
        "poseflow: 1 done, 6 to do (1 new, 2 changed since, 1 failed before, 2 with a lost result)"
    )


def test_a_stage_without_files_loses_none() -> None:
    plan = plan_stage("frames", PRINTS, PRINTS, ROWS, None)
    assert plan.todo.keys() == {"changed", "failed", "failed-changed", "new"}
    assert StagePlan("frames").describe() == "frames: 0 done, 0 to do"


def test_only_what_is_done_as_it_would_be_now_has_facts() -> None:
    assert done_facts([*PRINTS, "waits"], PRINTS, ROWS) == {"same": {"frames": 3}, "lost": {}, "cut": {}}


def test_a_result_is_known_by_its_size_and_mtime(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(b"12345")
    row = Row("a", DONE, "1", bytes=5, facts=mtime_of(path))
    assert is_result(row, stamp(path))
    first = stamp(path)
    path.write_bytes(b"54321")
    os.utime(path, ns=(first[1], first[1] + 1))
    assert not is_result(row, stamp(path))
    assert not is_result(row, (4, first[1]))
    assert not is_result(row, None)
    assert is_result(Row("a", DONE, "1", bytes=5), stamp(path))  # of a version that did not note the mtime
    assert plan_stage("poseflow", ["a"], {"a": "1"}, {"a": row}, {"a": (5, first[1] + 1)}).lost == 1
    assert plan_stage("poseflow", ["a"], {"a": "1"}, {"a": row}, {"a": (5, first[1])}).todo == {}
