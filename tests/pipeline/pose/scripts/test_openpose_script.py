"""What the estimator scripts share: JSON, the command line, the protocol, and frames through FFmpeg."""

import argparse
import subprocess
import sys
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from helpers.data.clip_making import SHARED
from helpers.processes.pipeline_runs import ROOT

from pipeline.pose.scripts.openpose_script import (
    EstimatorError,
    answer,
    clip_frames,
    openpose_json,
    run_script,
)

KARSL = SHARED / "data" / "karsl-clips" / "test"


def ffmpeg(*arguments: str) -> bytes:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-loglevel", "error", "-y", *arguments]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


def pattern(path: Path, *arguments: str, size: str = "64x48") -> Path:
    """FFmpeg's test pattern, a second of 5 frames."""
    ffmpeg("-f", "lavfi", "-i", f"testsrc=size={size}:rate=5:duration=1", *arguments, str(path))
    return path


def nobody(clip: str) -> list[np.ndarray | None]:
    """An estimate of a clip of two frames."""
    if "bad" in clip:
        raise EstimatorError(f"{clip}: no\n good")
    return [None, None]


def test_json_is_openposes() -> None:
    points = np.zeros((135, 3))
    points[17] = (50, 51, 1)
    found = openpose_json(points)
    assert found["version"] == 1.3
    [someone] = found["people"]
    assert someone["person_id"] == [-1]
    assert len(someone["pose_keypoints_2d"]) == 405
    assert someone["pose_keypoints_2d"][51:54] == [50.0, 51.0, 1.0]
    assert [key for key, value in someone.items() if value == []] == [
        "face_keypoints_2d",
        "hand_left_keypoints_2d",
        "hand_right_keypoints_2d",
        "pose_keypoints_3d",
        "face_keypoints_3d",
        "hand_left_keypoints_3d",
        "hand_right_keypoints_3d",
    ]
    assert openpose_json(None) == openpose_json(np.zeros((135, 3))) == {"version": 1.3, "people": []}


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--video", "a.mp4"],
        ["--serve", "--video", "a.mp4"],
        ["--serve", "--write_json", "d"],
        ["--video", "a.mp4", "--write_json", "d", "--model_pose", "BODY_25"],
        ["--video", "a.mp4", "--write_json", "d", "--number_people_max", "2"],
    ],
)
def test_a_wrong_command_line_ends_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run_script(arguments, argparse.ArgumentParser(allow_abbrev=False), "1", lambda options: nobody)
    assert ended.value.code == 2


@pytest.mark.parametrize("line", ["nonsense", "[]", '{"video": "a.mp4"}', '{"video": 1, "write_json": "d"}', ""])
def test_what_is_no_request_is_answered_so(line: str) -> None:
    reply = answer(line, nobody)
    assert reply["video"] is None
    assert "not a request" in reply["error"]


def test_an_answer_is_the_number_of_frames_or_the_reason_in_one_line(tmp_path: Path) -> None:
    request = f'{{"video": "NAME.mp4", "write_json": "{tmp_path}/out"}}'
    assert answer(request, nobody) == {"video": "NAME.mp4", "frames": 2}
    assert len(list((tmp_path / "out").iterdir())) == 2
    assert answer(request.replace("NAME", "bad"), nobody) == {"video": "bad.mp4", "error": "bad.mp4: no good"}


def test_what_a_library_prints_does_not_get_among_the_answers(tmp_path: Path) -> None:
    code = """import argparse, os, sys
from pipeline.pose.scripts.openpose_script import run_script
def load(options):
    os.write(1, b"load ")  # as C code does
    return lambda clip: [] if print("chatter") else []
sys.exit(run_script(["--serve"], argparse.ArgumentParser(), "1", load))"""
    request = f'{{"video": "a.mp4", "write_json": "{tmp_path}"}}\n'
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, input=request, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, '{"video": "a.mp4", "frames": 0}\n')
    assert done.stderr == "load chatter\n"


def test_frames_are_every_frame(tmp_path: Path) -> None:
    clip = tmp_path / "uneven.mp4"
    # 20 of 30 frames, at uneven times: at a constant rate, FFmpeg would repeat some to fill the gaps.
    uneven = ["-vf", "select=mod(n\\,3)", "-fps_mode", "vfr", str(clip)]
    ffmpeg("-f", "lavfi", "-i", "testsrc=size=64x48:rate=30:duration=1", *uneven)
    frames = list(clip_frames(str(clip)))
    assert len(frames) == 20
    assert {(frame.shape, frame.dtype.name) for frame in frames} == {((48, 64, 3), "uint8")}


def test_rotated_clips_come_upright(tmp_path: Path) -> None:
    plain, rotated = pattern(tmp_path / "plain.mp4", "-pix_fmt", "yuv444p"), tmp_path / "rotated.mp4"
    ffmpeg("-display_rotation", "90", "-i", str(plain), "-c", "copy", str(rotated))
    for upright, frame in zip(clip_frames(str(rotated)), clip_frames(str(plain)), strict=True):
        np.testing.assert_array_equal(upright, np.rot90(frame))


def test_a_cover_picture_is_not_the_clip(tmp_path: Path) -> None:
    plain = pattern(tmp_path / "plain.mp4")
    cover = pattern(tmp_path / "cover.png", "-frames:v", "1", size="320x240")
    covered = tmp_path / "covered.mp4"
    both = ["-i", str(cover), "-i", str(plain), "-map", "0", "-map", "1", "-c", "copy"]
    ffmpeg(*both, "-disposition:v:0", "attached_pic", str(covered))
    assert [frame.shape for frame in clip_frames(str(covered))] == [(48, 64, 3)] * 5


@pytest.mark.skipif(not KARSL.is_dir(), reason=f"no sign clips in {KARSL}")
def test_frame_counts_are_those_of_the_container() -> None:
    for clip in sorted(KARSL.glob("*.mp4"))[::8]:
        packets = ffmpeg("-i", str(clip), "-map", "0:v:0", "-c", "copy", "-f", "framecrc", "-").decode().splitlines()
        assert sum(1 for _ in clip_frames(str(clip))) == sum(not line.startswith("#") for line in packets), clip.name


@pytest.mark.parametrize("content", [None, b"", b"no video at all\n" * 100])
def test_a_clip_that_cannot_be_decoded_is_named(tmp_path: Path, content: bytes | None) -> None:
    clip = tmp_path / "broken.mp4"
    if content is not None:
        clip.write_bytes(content)
    with pytest.raises(EstimatorError, match=r"broken\.mp4: not a readable video"):
        list(clip_frames(str(clip)))


def test_a_list_named_mp4_opens_no_other_file(tmp_path: Path) -> None:
    secret = pattern(tmp_path / "secret.mp4")
    playlist = tmp_path / "clip.mp4"
    playlist.write_text(f"ffconcat version 1.0\nfile {secret.name}\n")
    # Without the whitelist FFmpeg opens it.
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-protocol_whitelist", "file", "-i"]
    assert subprocess.run([*command, str(playlist), "-f", "null", "-"], timeout=60).returncode == 0
    with pytest.raises(EstimatorError, match=r"clip\.mp4: not a readable video \(it is no recorded video"):
        list(clip_frames(str(playlist)))
