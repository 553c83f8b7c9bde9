"""Options that do not go together, and what the command line makes of them."""

import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from helpers.processes.pipeline_runs import fake_openpose

from pipeline.cli import main
from pipeline.options import RunOptions
from pipeline.workspace.ledger import read_ledger_rows
from pipeline.workspace.row import DONE
from shards.command_line import settings_from
from shards.errors import InputError
from shards.format.dataset import SAMPLES_PER_SHARD, read_dataset


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
        ("--pose mediapipe --mirrored", "--mirrored is for keypoint files, but mediapipe 0.10.21 is run; leave it out"),
        ("--keypoints kp.tar --mirrored", "--mirrored is for keypoint files, but kp.tar is an archive; unpack it"),
        ("--keypoints kp.tar --person central", "--person is for keypoint files, but kp.tar is an archive; unpack it"),
        ("--keypoints kp --jobs 2 --scheduler tcp://127.0.0.1:9", "--jobs does not go with --scheduler"),
        ("--keypoints kp --part 1/2 --shards s", "--shards-out does not go with --part: give it to the run that makes"),
        ("--keypoints kp --part 1/2 --samples-per-shard 256", "--samples-per-shard does not go with --part"),
        ("--keypoints kp --picture-size 640x480", "--picture-size is for clips without video"),
        ("--keypoints kp --picture-size 640x0", "--picture-size: no picture is 0 pixels wide or high"),
        ("--keypoints kp --ffmpeg /nonexistent", "/nonexistent: no such program; --ffmpeg names FFmpeg's binary"),
        ("--keypoints kp --ffmpeg kp", "kp: no such program"),
        ("--keypoints kp --depth-range 0.5,4", "--depth-range: NEAR and FAR are nearly the same"),
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
    tarfile.open(tmp_path / "kp.tar", "w").close()
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
    assert (code, f"keypoints from {tiny / 'kp'} (body135)" in lines) == (0, True)
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
    assert {row.status for row in read_ledger_rows(tmp_path / "work" / "ledger", "frames").values()} == {DONE}


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


def test_a_part_leaves_the_shards_to_a_later_run() -> None:
    def chosen(part: str | None, *stages: str) -> tuple[str, ...]:
        return RunOptions(data=Path("d"), work=Path("w"), stage=stages, part=part).chosen_stages()

    assert chosen(None, "all") == ("frames", "keypoints", "poseflow", "handcrops", "shards")
    assert chosen("1/2", "all") == ("frames", "keypoints", "poseflow", "handcrops")
    assert chosen(None, "shards", "frames") == ("frames", "shards")
    with pytest.raises(InputError, match="--stage shards does not go with --part"):
        chosen("1/2", "shards")


def test_every_option_is_a_field_and_the_other_way_round() -> None:
    options = {parameter.name: parameter for parameter in main.commands["run"].params}
    given = {name: f"given {name}" for name in options}
    assert vars(settings_from(given, RunOptions)) == given
    assert f"[default: {SAMPLES_PER_SHARD}]" in options["samples_per_shard"].help
    assert RunOptions(data=Path("d"), work=Path("w")).quality == options["quality"].default
