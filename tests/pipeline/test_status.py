"""`pipeline status`, while a run is under way and after it, and what a run says at its end."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli import main
from pipeline.status import SOME_FAILED, StageSummary, summarize
from pipeline.workspace.clip import Sample
from pipeline.workspace.driver_lock import Part
from pipeline.workspace.ledger import Ledger
from pipeline.workspace.manifest import write_manifest
from pipeline.workspace.paths import Workspace
from pipeline.workspace.row import DONE, FAILED, LedgerRow

WORKSPACE, SHARDS = Workspace(Path("/work")), Path("/work/shards")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """3 clips: a is through keypoints, b failed there, c has only frames, in a part of an array; x was removed."""
    workspace = Workspace(tmp_path / "work")
    workspace.create()
    write_manifest(workspace.manifest, [Sample(key, "train", "1", 0, f"/{key}.mp4", None) for key in "abc"])
    frames = Ledger(workspace.ledgers, "frames")
    for key in "abx":
        frames.record(LedgerRow(key, DONE, "f", 0.25, facts={"frames": 3}))
    frames.fold(keep="abx")
    Ledger(workspace.ledgers, "frames", "part-1-of-2").record(LedgerRow("c", DONE, "f", 0.25))
    keypoints = Ledger(workspace.ledgers, "keypoints")
    keypoints.record(LedgerRow("a", DONE, "f", 10.0, 1_500_000))
    keypoints.record(LedgerRow("b", FAILED, "f", 2.0, error="b.mp4: OpenPose ended with 1: Köln"))
    return workspace.root


def status(work: Path, *options: str) -> str:
    result = CliRunner().invoke(main, ["status", "--work", str(work), *options])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_table(work: Path) -> None:
    assert status(work).splitlines() == [
        "3 clips",
        "stage       done  failed   to do   core-seconds        MB",
        "frames         3       0       0            0.8       0.0",
        "keypoints      1       1       1           12.0       1.5",
        "poseflow       0       0       3            0.0       0.0",
        "handcrops      0       0       3            0.0       0.0",
        "shards         0       0                    0.0       0.0",
    ]


def test_json(work: Path) -> None:
    value = json.loads(status(work, "--json"))
    assert value["clips"] == 3
    assert [stage["stage"] for stage in value["stages"]] == ["frames", "keypoints", "poseflow", "handcrops", "shards"]
    keypoints = {"stage": "keypoints", "done": 1, "failed": 1, "todo": 1, "seconds": 12.0, "bytes": 1_500_000}
    assert value["stages"][1] == keypoints
    assert value["stages"][4]["todo"] is None
    assert value["failures"] == [{"stage": "keypoints", "id": "b", "error": "b.mp4: OpenPose ended with 1: Köln"}]


def test_failures(work: Path) -> None:
    assert status(work, "--failed") == "b (keypoints): b.mp4: OpenPose ended with 1: Köln\n"
    assert json.loads(status(work, "--failed", "--json")) == json.loads(status(work, "--json"))["failures"]


def test_no_workspace(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["status", "--work", str(tmp_path)])
    assert result.exit_code == 2
    assert "manifest.parquet: cannot be read" in result.output
    assert "is --work a workspace of `pipeline run`?" in result.output


def rows(count: int) -> list[LedgerRow]:
    return [LedgerRow(f"clip{number}", FAILED, "f", error=f"reason {number}") for number in range(count)]


def test_a_summary_of_a_run_in_which_all_went_well(capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = [StageSummary("frames", 7, 3), StageSummary("shards", 2, 2)]
    assert summarize(outcomes, WORKSPACE, SHARDS, None) == 0
    said = capsys.readouterr()
    assert said.out == (
        "\nstage       done  new  failed  waiting\n"
        "frames         7    3       0        0\n"
        "shards         2    2       0        0\n"
        "shards: /work/shards\n"
    )
    assert said.err == ""


def test_a_summary_of_all_of_autsl_keeps_its_numbers_apart(capsys: pytest.CaptureFixture[str]) -> None:
    summarize([StageSummary("frames", 36302, 36302)], WORKSPACE, SHARDS, None)
    assert capsys.readouterr().out.splitlines()[-1].split() == ["frames", "36302", "36302", "0", "0"]


def test_a_summary_names_the_first_ten_that_failed(capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = [
        StageSummary("frames", 7, 3, rows(9)),
        StageSummary("keypoints", 5, 1, rows(3), waiting=9),
        StageSummary("shards", 0, 0),
    ]
    assert summarize(outcomes, WORKSPACE, SHARDS, None) == SOME_FAILED
    said = capsys.readouterr()
    assert "keypoints      5    1       3        9\n" in said.out
    assert "shards: " not in said.out
    lines = said.err.splitlines()
    assert lines[0] == "failed: clip0 (frames): reason 0"
    assert lines[9:] == [
        "failed: clip0 (keypoints): reason 0",
        "… and 2 more: `pipeline status --work /work --failed`",
    ]


def test_a_summary_of_labels_without_a_clip_and_of_a_part(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        summarize([StageSummary("frames", 7, 3)], WORKSPACE, SHARDS, Part(2, 3), "l.csv: 2 ids name no clip, e.g. x")
        == SOME_FAILED
    )
    said = capsys.readouterr()
    assert said.err == "l.csv: 2 ids name no clip, e.g. x\n"
    assert said.out.endswith("part 2/3; when all are done: --stage shards, without --part\n")
