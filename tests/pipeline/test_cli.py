"""`pipeline run` as a user calls it."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from helpers.data.clip_making import moving_keypoints, run_pipeline, write_keypoints

from pipeline.cli import main
from shards.format.dataset import read_dataset


def test_all_stages_make_a_shard_set(tiny_work: Path) -> None:
    dataset = read_dataset(tiny_work / "shards")
    assert {split: [shard.samples for shard in shards] for split, shards in dataset.splits.items()} == {
        "train": [3, 1],
        "val": [2],
    }
    assert dataset.settings["estimator"] == "import"


def test_an_archive_gives_the_same_shards_as_folders(tiny: Path, tiny_work: Path, tmp_path: Path) -> None:
    assert run_pipeline(tiny, tmp_path, "--samples-per-shard", "3", keypoints="kp.tar.bz2") == 0
    for shard in sorted((tiny_work / "shards").glob("*.tar")):
        assert (tmp_path / "shards" / shard.name).read_bytes() == shard.read_bytes()


def invoke(*arguments: object) -> tuple[int, str]:
    """The exit status and the output of `pipeline …`; an exception that is no exit is raised."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def write(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--data", "nowhere"], "nowhere: no such folder or CSV file"),
        (["--labels", "nowhere.csv"], "nowhere.csv: cannot be read as CSV"),
        (["--labels", "other.csv"], "other.csv: none of its ids names a clip (it has stranger, --data has signer"),
        (["--labels", "words.csv"], "words.csv:2: class 'two' is not a whole number from 0 up"),
        (["--classes", "nowhere.csv"], "nowhere.csv: cannot be read as CSV"),
        (["--labels", "labels.csv", "--classes", "one.csv"], "one.csv: names 1 classes, but a sample has class 2"),
        (["--pose", "import"], "--pose import needs --keypoints"),
        (["--pose", "openpose", "--keypoints", "kp"], "--keypoints goes with --pose import, not with --pose openpose"),
        (["--keypoints", "nowhere"], "nowhere: no such file"),
        (["--keypoints", "labels.csv"], "labels.csv: not a tar archive, or cut off at its very beginning"),
        (["--pose", "openpose"], "no OpenPose binary: give --openpose-bin or OPENPOSE_BIN, or use --pose mediapipe"),
        (["--openpose-bin", "nowhere"], "nowhere: no such program; --openpose-bin and OPENPOSE_BIN name OpenPose's"),
        (["--openpose-bin", "/bin/true", "--openpose-models", "nowhere"], "nowhere: no such folder; --openpose-models"),
        (["--keypoints", "kp", "--part", "4/3"], "--part 4/3: give I/N with I from 1 to N"),
        (["--keypoints", "kp", "--part", "1/2", "--stage", "shards"], "--stage shards does not go with --part"),
        (["--keypoints", "kp", "--work", "labels.csv"], "labels.csv/ledger: cannot be written (Not a directory)"),
        (["--keypoints", "kp", "--data", "x" * 300], "x: cannot be read or written (File name too long)"),
        (["--keypoints", "x" * 300], "x: cannot be read or written (File name too long)"),
        (["--keypoints", "kp", "--data", "nul.csv"], "nul.csv:2: holds a NUL byte; save it as CSV in UTF-8"),
        (["--jobs", "0"], "Invalid value for '--jobs': 0 is not in the range x>=1."),
        (["--stage", "frame"], "Invalid value for '--stage': 'frame' is not one of"),
        (["--quality", "101"], "Invalid value for '--quality': 101 is not in the range 1<=x<=100."),
    ],
)
def test_a_wrong_command_line_is_one_line_and_status_2(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("OPENPOSE_BIN", raising=False)
    for name in ("kp", "labels.csv"):
        (tmp_path / name).symlink_to(tiny / name)
    write(tmp_path / "other.csv", "stranger,1\n")
    write(tmp_path / "words.csv", "signer0_sample0,1\nsigner1_sample1,two\n")
    write(tmp_path / "nul.csv", "id,split,signer,label,color\na,train,,,a\0.mp4\n")
    write(tmp_path / "one.csv", "ClassId,Name\n0,null\n")
    defaults = {"--data": tiny / "mp4", "--work": tmp_path / "work"}
    arguments = [word for pair in defaults.items() if pair[0] not in options for word in pair]
    code, output = invoke("run", *arguments, *options)
    assert code == 2, output
    errors = [line for line in output.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert errors[0] == output.splitlines()[-1]
    assert said in errors[0]


def test_ids_of_labels_that_name_no_clip_are_told_and_the_rest_is_done(tiny: Path, tmp_path: Path) -> None:
    labels = write(tmp_path / "labels.csv", (tiny / "labels.csv").read_text() + "stranger,1\n")
    code, output = invoke(
        *("run", "--data", tiny / "mp4", "--work", tmp_path / "work", "--keypoints", tiny / "kp"),
        *("--labels", labels, "--stage", "frames", "--jobs", "1"),
    )
    assert (code, f"{labels}: 1 ids name no clip, e.g. stranger" in output) == (3, True)
    assert "frames         6    6       0        0" in output


def test_two_folders_of_keypoints_for_a_clip(tiny: Path, tmp_path: Path) -> None:
    for split in ("train", "val"):
        write_keypoints(tmp_path / "kp" / split / "signer0_sample0_color.kp", "a", moving_keypoints(2, 0))
    code, output = invoke("run", "--data", tiny / "mp4", "--work", tmp_path / "w", "--keypoints", tmp_path / "kp")
    assert (code, "both are keypoints of signer0_sample0; remove one" in output) == (2, True)


def test_every_clip_fails(tmp_path: Path) -> None:
    (tmp_path / "mp4" / "train").mkdir(parents=True)
    for name in "ab":
        (tmp_path / "mp4" / "train" / f"{name}_color.mp4").touch()
    write_keypoints(tmp_path / "kp" / "a.kp", "a", moving_keypoints(2, 0))
    arguments = ["run", "--data", tmp_path / "mp4", "--work", tmp_path / "work", "--keypoints", tmp_path / "kp"]
    code, output = invoke(*arguments, "--jobs", "1", "--stage", "frames")
    assert (code, output.count("empty file")) == (3, 2)
    code, output = invoke(*arguments, "--jobs", "1")
    assert code == 3
    assert output.count("empty file") == 2
    assert "no shards: no clip came through" in output


def test_importing_the_command_is_light() -> None:
    code = "import sys, pipeline.cli; print(sorted({'numpy', 'torch', 'pyarrow', 'joblib', 'PIL'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
