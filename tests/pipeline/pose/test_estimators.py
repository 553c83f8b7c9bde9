"""OpenPose through its stand-in, and the servers of MediaPipe and RTMW through a script that speaks their protocol."""

import hashlib
import os
import sys
import time
import uuid
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.data.clip_making import make_clip
from helpers.processes.pipeline_runs import fake_openpose, processes_of, wait_until

from pipeline.errors import ClipError
from pipeline.pose import estimators, script_server
from pipeline.pose.estimators import MediaPipe, ModelFile, OpenPose, Rtmw, time_limit
from pipeline.pose.scripts import rtmw_openpose
from pipeline.pose.scripts.mediapipe_openpose import VERSION
from shards.errors import InputError
from tools.fake_openpose import body

FRAMES = 6


@pytest.fixture
def openpose(tmp_path: Path) -> OpenPose:
    return OpenPose(str(fake_openpose(tmp_path)), None, ())


def clip(ffmpeg: str, folder: Path, name: str) -> str:
    make_clip(ffmpeg, folder / f"{name}.mp4", FRAMES)
    return str(folder / f"{name}.mp4")


def test_openpose_is_called_as_in_2021_and_its_json_read(ffmpeg: str, openpose: OpenPose, tmp_path: Path) -> None:
    # The stand-in refuses any other command line.
    keypoints = openpose.estimate(clip(ffmpeg, tmp_path, "a b 'c' ä"), FRAMES, 0)
    expected = np.array([body("a b 'c' ä", frame) for frame in range(FRAMES)], np.float32).reshape(FRAMES, 135, 3)
    np.testing.assert_array_equal(keypoints, expected)
    (tmp_path / "models").mkdir()
    with_models = OpenPose(openpose.binary, str(tmp_path / "models"), ())
    np.testing.assert_array_equal(with_models.estimate(clip(ffmpeg, tmp_path, "a b 'c' ä"), FRAMES, 0), expected)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("crash", "ended with 1: Cuda check failed (2 vs. 0): out of memory"),
        ("nobody", "nobody.mp4: no person found in any of 6 frames"),
        ("short", "short.mp4: keypoints of 5 frames for a video of 6; frame 5 is missing"),
    ],
)
def test_openpose_fails(ffmpeg: str, openpose: OpenPose, tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(ClipError) as caught:
        openpose.estimate(clip(ffmpeg, tmp_path, name), FRAMES, 0)
    assert said in str(caught.value)


def test_openpose_hangs(ffmpeg: str, openpose: OpenPose, tmp_path: Path, monkeypatch) -> None:
    marker = uuid.uuid4().hex
    monkeypatch.setitem(os.environ, "TEST_MARKER", marker)
    monkeypatch.setattr(estimators, "TIME_LIMIT", 2.0)
    monkeypatch.setattr(estimators, "TIME_LIMIT_PER_FRAME", 0.0)
    start = time.monotonic()
    with pytest.raises(ClipError, match=r"hang.mp4: .*openpose.bin did not finish in 2 s"):
        openpose.estimate(clip(ffmpeg, tmp_path, "hang"), FRAMES, 0)
    assert time.monotonic() - start < 6
    wait_until(lambda: not processes_of(marker), 5)


def test_clips_go_round_the_gpus(ffmpeg: str, openpose: OpenPose, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(os.environ, "FAKE_OPENPOSE_LOG", str(tmp_path / "log"))
    monkeypatch.setitem(os.environ, "CUDA_VISIBLE_DEVICES", "7")
    path = clip(ffmpeg, tmp_path, "a")
    two = OpenPose(openpose.binary, None, ("0", "1"))
    for estimator, number in ((two, 0), (two, 1), (two, 2), (openpose, 0)):
        estimator.estimate(path, FRAMES, number)
    assert (tmp_path / "log").read_text() == "a 0\na 1\na 0\na 7\n"


def test_the_version_changes_with_the_binary_and_the_weights(openpose: OpenPose, tmp_path: Path) -> None:
    weights = tmp_path / "models" / "pose" / "body_135" / "pose_iter_XXXXXX.caffemodel"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"1")
    estimator = OpenPose(openpose.binary, str(tmp_path / "models"), ())
    seen = [estimator.version]
    weights.write_bytes(b"22")
    seen.append(estimator.version)
    Path(openpose.binary).write_text("#!/bin/sh\n")
    seen.append(estimator.version)
    assert len({str(version) for version in seen}) == 3


def test_a_comment_in_mediapipes_script_changes_no_fingerprint(tmp_path: Path, monkeypatch) -> None:
    before = MediaPipe().version
    commented = tmp_path / "mediapipe_openpose.py"
    commented.write_text(estimators.MEDIAPIPE_SCRIPT.read_text() + "# a comment\n")
    monkeypatch.setattr(estimators, "MEDIAPIPE_SCRIPT", commented)
    assert MediaPipe().version == before == VERSION


SERVER = """
import json, os, sys, time
print("noise", file=sys.stderr)
for line in sys.stdin:
    ask = json.loads(line)
    name = os.path.basename(ask["video"])
    with open(os.environ["SERVER_LOG"], "a") as log:
        print(os.getpid(), *sys.argv[1:], file=log)
    if name == "die":
        print("Fatal: out of memory", file=sys.stderr)
        sys.exit(1)
    if name == "uv":
        print("error: Failed to download\\n  cause: Hash mismatch\\n\\nhint: read on", file=sys.stderr)
        sys.exit(1)
    if name == "hang":
        time.sleep(60)
    if name == "bad":
        print(json.dumps({"video": name, "error": "cannot be decoded"}), flush=True)
        continue
    for frame in range(3):
        people = [{"pose_keypoints_2d": [1.0 + frame] * 405}]
        with open(f"{ask['write_json']}/{name}_{frame:012d}_keypoints.json", "w") as file:
            json.dump({"people": people}, file)
    print(json.dumps({"video": name, "frames": 3}), flush=True)
"""


@pytest.fixture
def server_log(tmp_path: Path, monkeypatch) -> Path:
    """The scripts' place is taken by `SERVER`, run by a `uv` that hands on all its options; they stand in the log."""
    (tmp_path / "server.py").write_text(SERVER)
    uv = tmp_path / "uv"
    uv.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{tmp_path}/server.py" "$@"\n')
    uv.chmod(0o755)
    monkeypatch.setattr(script_server, "find_uv", lambda title: str(uv))
    monkeypatch.setitem(os.environ, "SERVER_LOG", str(tmp_path / "log"))
    monkeypatch.setitem(os.environ, "TEST_MARKER", uuid.uuid4().hex)
    yield tmp_path / "log"
    script_server.end_server()
    wait_until(lambda: not any("server.py" in line for line in processes_of(os.environ["TEST_MARKER"])), 5)


def test_one_server_serves_clip_after_clip_until_it_dies(server_log: Path, monkeypatch) -> None:
    mediapipe = MediaPipe()
    keypoints = mediapipe.estimate("/x/a", 3, 0)
    assert (keypoints.shape, keypoints[:, 0, 0].tolist()) == ((3, 135, 3), [1, 2, 3])
    with pytest.raises(ClipError, match="/x/bad: cannot be decoded"):
        mediapipe.estimate("/x/bad", 3, 0)
    with pytest.raises(ClipError, match="keypoints of 3 frames for a video of 4"):
        mediapipe.estimate("/x/a", 4, 0)
    with pytest.raises(ClipError, match="/x/die: MediaPipe ended: Fatal: out of memory"):
        mediapipe.estimate("/x/die", 3, 0)
    mediapipe.estimate("/x/b", 3, 0)
    monkeypatch.setattr(estimators, "TIME_LIMIT", 0.5)
    monkeypatch.setattr(estimators, "TIME_LIMIT_PER_FRAME", 0.0)
    with pytest.raises(ClipError, match=r"/x/hang: MediaPipe did not finish in 0.5 s"):
        mediapipe.estimate("/x/hang", 3, 0)
    monkeypatch.setattr(estimators, "TIME_LIMIT", 60.0)
    mediapipe.estimate("/x/c", 3, 0)
    pids = [line.split()[0] for line in server_log.read_text().splitlines()]
    assert [pids.index(pid) for pid in pids] == [0, 0, 0, 0, 4, 4, 6]


def test_an_environment_that_cannot_be_built_is_the_reason(server_log: Path) -> None:
    with pytest.raises(ClipError, match=r"/x/uv: MediaPipe ended: error: Failed to download; cause: Hash mismatch$"):
        MediaPipe().estimate("/x/uv", 3, 0)


def test_mediapipe_decodes_with_the_ffmpeg_that_was_named(server_log: Path, monkeypatch) -> None:
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "/of/the/environment")
    MediaPipe("/opt/ffmpeg").estimate("/x/a", 3, 0)
    server = int(server_log.read_text().split()[0])
    assert b"\0IMAGEIO_FFMPEG_EXE=/opt/ffmpeg\0" in Path(f"/proc/{server}/environ").read_bytes()


def test_the_script_runs_with_what_its_lock_names(server_log: Path) -> None:
    MediaPipe(face=False).estimate("/x/a", 3, 0)
    options = server_log.read_text().split()[1:]
    assert options[options.index("run") :] == [
        *("run", "--quiet", "--no-project", "--frozen", "--script", str(estimators.MEDIAPIPE_SCRIPT)),
        *("--no-face", "--serve"),
    ]


def test_a_face_that_is_left_out_is_another_estimator() -> None:
    assert (MediaPipe().name, MediaPipe(face=False).name) == ("mediapipe 0.10.21", "mediapipe 0.10.21 without face")


@pytest.fixture
def rtmw(tmp_path: Path) -> Rtmw:
    """RTMW with files that are no models."""
    for name in ("detector", "model"):
        (tmp_path / f"{name}.onnx").write_text(name)
    return Rtmw(ModelFile.read(tmp_path / "detector.onnx"), ModelFile.read(tmp_path / "model.onnx"))


def test_rtmw_is_its_models(rtmw: Rtmw, tmp_path: Path) -> None:
    digest = hashlib.sha256(b"model").hexdigest()
    assert rtmw.name == f"rtmw {digest[:12]}"
    assert rtmw.version == [rtmw_openpose.VERSION, hashlib.sha256(b"detector").hexdigest(), digest, "largest"]
    assert replace(rtmw, person="central").version != rtmw.version
    assert replace(rtmw, gpus=("0",)).version == rtmw.version
    with pytest.raises(InputError, match=r"nowhere\.onnx: No such file or directory; it should be an ONNX model"):
        ModelFile.read(tmp_path / "nowhere.onnx")


def test_rtmws_server_gets_models_person_and_the_gpu_of_its_first_clip(rtmw: Rtmw, server_log: Path) -> None:
    two = replace(rtmw, person="first", gpus=("2", "5"))
    for number in (1, 2):
        two.estimate("/x/a", 3, number)
    rtmw.estimate("/x/a", 3, 0)
    first, second, other = (line.split() for line in server_log.read_text().splitlines())
    assert first == second, "one server"
    models = ["--detector", rtmw.detector.path, "--model", rtmw.model.path]
    assert first[6:] == [str(estimators.RTMW_CUDA_SCRIPT), *models, "--person", "first", "--gpu", "5", "--serve"]
    assert other[6:] == [str(estimators.RTMW_SCRIPT), *models, "--person", "largest", "--serve"]
    assert other[0] != first[0], "another estimator has another server"


def test_a_model_that_changed_fails_the_clip(rtmw: Rtmw, server_log: Path) -> None:
    Path(rtmw.model.path).write_text("another")
    with pytest.raises(ClipError, match=r"model\.onnx: is not the model that the run began with"):
        rtmw.estimate("/x/a", 3, 0)
    Path(rtmw.model.path).unlink()
    with pytest.raises(ClipError, match=r"model\.onnx: No such file or directory"):
        rtmw.estimate("/x/a", 3, 0)


def test_the_time_limit_grows_with_the_clip() -> None:
    assert time_limit(75) == 900 + 75 * 20
