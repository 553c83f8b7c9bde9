"""Which estimator a run uses, and options that would be without effect."""

import sys
from pathlib import Path

import pytest
from helpers.processes.pipeline_runs import fake_openpose

from pipeline.pose import choice
from pipeline.pose.choice import EstimatorOptions, choose_estimator, find_openpose, refuse_unused
from pipeline.pose.estimators import MediaPipe, ModelFile, OpenPose, Rtmw
from shards.errors import InputError

NONE = EstimatorOptions()


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, with `bin` the only one on PATH and uv there."""
    monkeypatch.delenv("OPENPOSE_BIN", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(choice, "find_uv", lambda title: "uv")
    (tmp_path / "bin").mkdir()
    return tmp_path


def test_openpose_where_it_is_else_mediapipe(bare: Path) -> None:
    estimator, why = choose_estimator(None, NONE)
    assert (estimator, why) == (MediaPipe(), "MediaPipe, since no OpenPose binary was found (--openpose-bin, PATH)")
    with pytest.raises(InputError, match="no OpenPose binary: give --openpose-bin or OPENPOSE_BIN"):
        choose_estimator("openpose", NONE)
    with pytest.raises(InputError, match="pose 'OpenPose' is not known"):
        choose_estimator("OpenPose", NONE)
    binary = fake_openpose(bare / "bin")
    with_gpu = choose_estimator(None, EstimatorOptions(gpus=("1",)))
    assert with_gpu == (OpenPose(str(binary), None, ("1",)), f"OpenPose: {binary}")
    assert choose_estimator("mediapipe", NONE) == (MediaPipe(), "MediaPipe")
    assert choose_estimator("mediapipe", NONE, "/opt/ffmpeg")[0] == MediaPipe("/opt/ffmpeg")
    assert choose_estimator("mediapipe", EstimatorOptions(no_face=True))[0] == MediaPipe(face=False)


def test_openposes_binary_and_models(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = fake_openpose(bare / "bin").rename(bare / "other")
    assert find_openpose(str(other)) == str(other)
    monkeypatch.setenv("OPENPOSE_BIN", str(other))
    assert choose_estimator(None, NONE)[1] == f"OpenPose: {other}"
    assert choose_estimator(None, EstimatorOptions(openpose_models=bare))[0] == OpenPose(str(other), str(bare), ())
    with pytest.raises(InputError, match="nowhere: no such folder; --openpose-models is the one with pose/body_135"):
        choose_estimator(None, EstimatorOptions(openpose_models=bare / "nowhere"))
    monkeypatch.chdir(bare)
    assert find_openpose("./other") == str(other)  # workers of a cluster do not share our working directory
    monkeypatch.setenv("PATH", ".")
    assert find_openpose("other") == str(other)
    other.chmod(0o644)
    with pytest.raises(InputError, match=f"{other}: no such program; --openpose-bin and OPENPOSE_BIN name"):
        find_openpose(None)


def test_rtmw_takes_the_users_models(bare: Path) -> None:
    detector, model = bare / "detector.onnx", bare / "model.onnx"
    with pytest.raises(InputError, match=r"--pose rtmw needs --rtmw-detector, .*, and --rtmw-model"):
        choose_estimator("rtmw", EstimatorOptions(rtmw_model=model))
    with pytest.raises(InputError, match=r"detector\.onnx: No such file or directory"):
        choose_estimator("rtmw", EstimatorOptions(rtmw_detector=detector, rtmw_model=model))
    detector.write_text("1")
    model.write_text("2")
    given = EstimatorOptions(rtmw_detector=detector, rtmw_model=model, person="central", gpus=("0", "1"))
    files = ModelFile.read(detector), ModelFile.read(model)
    assert choose_estimator("rtmw", given, "/opt/ffmpeg") == (
        Rtmw(*files, "central", ("0", "1"), "/opt/ffmpeg"),
        "RTMW",
    )
    with pytest.raises(InputError, match="--gpus all: RTMW takes the numbers of GPUs"):
        choose_estimator("rtmw", EstimatorOptions(rtmw_detector=detector, rtmw_model=model, gpus=("all",)))


@pytest.mark.parametrize(
    ("pose", "given", "said"),
    [
        ("mediapipe", {"gpus": ("0",)}, "--gpus is for OpenPose and RTMW, but keypoints come from MediaPipe; leave it"),
        ("mediapipe", {"rtmw_model": Path("a")}, "--rtmw-model is for RTMW, but keypoints come from MediaPipe"),
        (None, {"person": "first"}, "--person is for RTMW and --keypoints, but .* from MediaPipe, since no OpenPose"),
        ("rtmw", {"no_face": True}, "--no-face is for MediaPipe, but keypoints come from RTMW; leave it out"),
        ("rtmw", {"openpose_bin": "a"}, "--openpose-bin is for OpenPose, but keypoints come from RTMW"),
    ],
)
def test_options_of_another_estimator_are_refused(bare: Path, pose: str | None, given: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        choose_estimator(pose, EstimatorOptions(**given))


def test_options_beside_keypoints_that_are_there() -> None:
    refuse_unused(EstimatorOptions(person="central"), "--keypoints", "kp")
    with pytest.raises(InputError, match="--rtmw-detector is for RTMW, but keypoints come from kp; leave it out"):
        refuse_unused(EstimatorOptions(rtmw_detector=Path("a")), "--keypoints", "kp")


@pytest.mark.parametrize("pose", ["mediapipe", "rtmw"])
def test_the_scripts_need_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pose: str) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("OPENPOSE_BIN", raising=False)
    given = EstimatorOptions(rtmw_detector=tmp_path, rtmw_model=tmp_path) if pose == "rtmw" else NONE
    with pytest.raises(InputError, match=f"--pose {pose} needs uv to build its environment: pip install"):
        choose_estimator(pose, given)
