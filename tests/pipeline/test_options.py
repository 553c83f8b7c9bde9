"""Options that do not go together, folders of keypoints, and what a run says at its end."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from helpers.driving import fake_openpose

from pipeline.cli import main
from pipeline.options import SOME_FAILED, chosen_stages, find_folders, summarise
from pipeline.run import Outcome
from pipeline.stages.handcrops import CropSettings
from pipeline.stages.stage import KeypointSource, RunSettings
from pipeline.workspace.ledger import read_rows
from pipeline.workspace.part import Part
from pipeline.workspace.paths import Workspace
from pipeline.workspace.row import DONE, FAILED, Row
from shards.errors import InputError
from shards.format.dataset import read_dataset
from shards.format.recipe import DEFAULT


def invoke(*arguments: object) -> tuple[int, list[str]]:
    """The exit status and the lines of `pipeline run …`; an exception that is no exit is raised."""
    result = CliRunner().invoke(main, ["run", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output.splitlines()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--keypoints kp --gpus 0", "--gpus is for OpenPose and RTMW, but keypoints come from kp; leave it out"),
        ("--keypoints kp --openpose-bin openpose.bin", "--openpose-bin is for OpenPose, but keypoints come from kp"),
        ("--pose import --keypoints kp --openpose-models .", "--openpose-models is for OpenPose, but keypoints come"),
        (
            "--pose mediapipe --gpus 0,1",
            "--gpus is for OpenPose and RTMW, but keypoints come from MediaPipe; leave",
        ),
        ("--pose mediapipe --openpose-bin openpose.bin", "--openpose-bin is for OpenPose, but keypoints come from Med"),
        ("--gpus 0", "come from MediaPipe, since no OpenPose binary was found (--openpose-bin, PATH); leave it out"),
        ("--keypoints kp --jobs 2 --scheduler tcp://127.0.0.1:9", "--jobs does not go with --scheduler"),
        ("--keypoints kp --part 1/2 --shards s", "--shards does not go with --part: give it to the run that makes"),
        ("--keypoints kp --part 1/2 --samples-per-shard 256", "--samples-per-shard does not go with --part"),
        ("--keypoints kp --ffmpeg /nonexistent", "/nonexistent: no such program; --ffmpeg names FFmpeg's binary"),
        ("--keypoints kp --ffmpeg kp", "kp: no such program"),
    ],
)
def test_options_that_would_have_no_effect_are_refused(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.delenv("OPENPOSE_BIN", raising=False)
    fake_openpose(tmp_path)
    (tmp_path / "kp").mkdir()
    code, lines = invoke("--data", tiny / "mp4", "--work", tmp_path / "work", *options.split())
    assert code == 2
    assert lines[-1].startswith("Error: ") and said in lines[-1]
    assert sum(line.startswith("Error: ") for line in lines) == 1
    assert not (tmp_path / "work").exists()


def test_what_the_environment_names_contradicts_nothing(tiny: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("OPENPOSE_BIN", str(fake_openpose(tmp_path)))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    options = ("--data", tiny / "mp4", "--work", tmp_path / "work", "--keypoints", tiny / "kp")
    code, lines = invoke(*options, "--part", "1/2", "--jobs", "1")
    assert (code, f"keypoints from {tiny / 'kp'}" in lines) == (0, True)
    assert invoke(*options, "--jobs", "1")[0] == 0
    # The default for what was not typed: six clips are in one shard per split.
    assert {split: len(shards) for split, shards in read_dataset(tmp_path / "work" / "shards").splits.items()} == {
        "train": 1,
        "val": 1,
    }


def test_programs_may_be_named_relative_to_the_working_directory(
    tiny: Path, tmp_path: Path, monkeypatch, ffmpeg: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-ffmpeg").symlink_to(ffmpeg)
    options = ("--data", tiny / "mp4", "--work", "work", "--keypoints", tiny / "kp", "--jobs", "1")
    code, lines = invoke(*options, "--ffmpeg", "./my-ffmpeg", "--stage", "frames")
    assert code == 0, lines
    assert {row.status for row in read_rows(tmp_path / "work" / "ledger", "frames").values()} == {DONE}


def test_an_old_ffmpeg_is_refused_however_it_is_named(tiny: Path, tmp_path: Path, monkeypatch) -> None:
    old = tmp_path / "old-ffmpeg"
    old.write_text("#!/bin/sh\necho ffmpeg version 4.4.2\n")
    old.chmod(0o755)
    options = ("--data", tiny / "mp4", "--work", tmp_path / "work", "--keypoints", tiny / "kp", "--jobs", "1")
    said = f"Error: {old}: is version 4.4; --ffmpeg or $IMAGEIO_FFMPEG_EXE names FFmpeg's binary, 5.1 or later"
    assert invoke(*options, "--ffmpeg", old) == (2, [said])
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(old))
    assert invoke(*options) == (2, [said])
    assert not (tmp_path / "work").exists()


def test_frames_need_no_estimator(tiny: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))  # beside which is no uv
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("OPENPOSE_BIN", raising=False)
    options = ("--data", tiny / "mp4", "--work", tmp_path / "work", "--jobs", "1")
    assert "--pose mediapipe needs uv" in invoke(*options)[1][-1]
    code, lines = invoke(*options, "--stage", "frames")
    assert (code, "frames         6    6       0        0" in lines) == (0, True), lines


def test_options_of_stages_that_are_not_run_are_accepted(tiny: Path, tmp_path: Path) -> None:
    """So that the runs of a cluster's script can share theirs."""
    options = ("--data", tiny / "mp4", "--work", tmp_path / "work", "--keypoints", tiny / "kp", "--jobs", "1")
    code, lines = invoke(*options, "--stage", "frames", "--quality", "80", "--shards", tmp_path / "s")
    assert code == 0, lines
    assert not (tmp_path / "s").exists()


def test_folders_of_keypoints_are_found_through_links(tmp_path: Path) -> None:
    elsewhere, root = tmp_path / "elsewhere", tmp_path / "kp"
    (elsewhere / "a_color.kp").mkdir(parents=True)
    (root / "val" / "b.kp").mkdir(parents=True)
    (root / "train").symlink_to(elsewhere)
    (root / "val" / "c_color.kp").symlink_to(elsewhere)
    found = {"a": "train/a_color.kp", "b": "val/b.kp", "c": "val/c_color.kp"}
    assert find_folders(root) == {key: str(root / path) for key, path in found.items()}


def test_links_that_lead_back_are_followed_once(tmp_path: Path) -> None:
    (tmp_path / "train" / "a_color.kp").mkdir(parents=True)
    (tmp_path / "train" / "back").symlink_to(tmp_path)
    (tmp_path / "train" / "self").symlink_to(".")
    assert find_folders(tmp_path).keys() == {"a"}


def test_folders_of_keypoints_are_not_looked_into(tmp_path: Path) -> None:
    """An AUTSL has 36,000 of them, with 2 million files."""
    (tmp_path / "a_color.kp" / "b_color.kp").mkdir(parents=True)
    assert find_folders(tmp_path) == {"a": str(tmp_path / "a_color.kp")}


def test_a_part_leaves_the_shards_to_a_later_run() -> None:
    assert chosen_stages(("all",), None) == ("frames", "keypoints", "poseflow", "handcrops", "shards")
    assert chosen_stages(("all",), Part(1, 2)) == ("frames", "keypoints", "poseflow", "handcrops")
    assert chosen_stages(("shards", "frames"), None) == ("frames", "shards")
    with pytest.raises(InputError, match="--stage shards does not go with --part"):
        chosen_stages(("shards",), Part(1, 2))


def settings(part: Part | None = None) -> RunSettings:
    source = KeypointSource("import", "import", folders={})
    return RunSettings(
        *(Workspace(Path("/work")), ("frames",), source, DEFAULT, CropSettings(), Path("/work/shards"), 256, 1),
        ffmpeg=None,
        classes=[],
        part=part,
    )


def rows(count: int) -> list[Row]:
    return [Row(f"clip{number}", FAILED, "f", error=f"reason {number}") for number in range(count)]


def test_a_summary_of_a_run_in_which_all_went_well(capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = [Outcome("frames", 7, 3), Outcome("shards", 2, 2)]
    assert summarise(outcomes, settings(), None, []) == 0
    said = capsys.readouterr()
    assert said.out == (
        "\nstage       done  new  failed  waiting\n"
        "frames         7    3       0        0\n"
        "shards         2    2       0        0\n"
        "shards: /work/shards\n"
    )
    assert said.err == ""


def test_a_summary_names_the_first_ten_that_failed(capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = [
        Outcome("frames", 7, 3, rows(9)),
        Outcome("keypoints", 5, 1, rows(3), waiting=9),
        Outcome("shards", 0, 0),
    ]
    assert summarise(outcomes, settings(), None, []) == SOME_FAILED
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
    assert summarise([Outcome("frames", 7, 3)], settings(Part(2, 3)), Path("l.csv"), ["x", "y"]) == SOME_FAILED
    said = capsys.readouterr()
    assert said.err == "l.csv: 2 ids name no clip, e.g. x\n"
    assert said.out.endswith("part 2/3; when all are done: --stage shards, without --part\n")
