"""OpenPose's JSON, as it is and as it should not be."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.data.clip_making import moving_keypoints, write_keypoints

from pipeline.errors import ClipError
from pipeline.pose.openpose_json import parse_frame, read_folder, stack_frames


def person(values: object) -> bytes:
    return json.dumps({"version": 1.3, "people": [{"person_id": [-1], "pose_keypoints_2d": values}]}).encode()


def test_a_frame() -> None:
    values = np.arange(405) / 8
    frame = parse_frame(person(values.tolist()), "x")
    assert frame.shape == (1, 135, 3)
    assert frame.dtype == np.float32
    np.testing.assert_array_equal(frame.ravel(), values)
    np.testing.assert_array_equal(parse_frame(b'{"people": []}', "x"), np.zeros((1, 135, 3)))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not OpenPose's JSON"),
        (b"{", "not OpenPose's JSON"),
        (b"\xff\xfe", "not OpenPose's JSON"),
        (b"[]", "not OpenPose's JSON"),
        (b"null", "not OpenPose's JSON"),
        (b"{}", "not OpenPose's JSON (KeyError: 'people')"),
        (b'{"people": [{}]}', "not OpenPose's JSON"),
        (b'{"people": {"0": 1}}', "not OpenPose's JSON"),
        (b'{"people": [[1]]}', "not OpenPose's JSON"),
        (person(["a"] * 405), "not OpenPose's JSON"),
        (person([[1.0] * 405, [1.0]]), "not OpenPose's JSON"),
        (person([[1.0] * 3] * 135), "its pose_keypoints_2d is not a list of numbers"),
        (
            person([1.0] * 75),
            "75 numbers where BODY_135 has 405; use --model_pose BODY_135, or give --keypoints the unpacked",
        ),
        (person([]), "0 numbers"),
        (person(3.0), "its pose_keypoints_2d is not a list of numbers"),
        (person([float("nan")] * 405), "not OpenPose's JSON"),
        (person([float("-inf")] * 405), "not OpenPose's JSON"),
        (person([1e39] * 405), "not a finite number"),
        (person([None] * 405), "not a finite number"),
    ],
)
def test_a_wrong_frame(data: bytes, said: str) -> None:
    with pytest.raises(ClipError) as caught:
        parse_frame(data, "frame.json")
    assert str(caught.value).startswith("frame.json: ")
    assert said in str(caught.value)


def test_frames_are_stacked_in_their_order() -> None:
    person = np.random.default_rng(0).uniform(10, 100, (1, 135, 3)).astype(np.float32)
    frames = {number: person + number for number in (2, 0, 1)}
    np.testing.assert_array_equal(stack_frames(frames, 3, "x"), np.concatenate([person, person + 1, person + 2]))
    for count, said in ((4, "keypoints of 3 frames for a video of 4; frame 3 is missing"), (2, "frame 2 is too many")):
        with pytest.raises(ClipError, match=said):
            stack_frames(frames, count, "x")
    with pytest.raises(ClipError, match="frame 0 is missing"):
        stack_frames({}, 3, "x")
    with pytest.raises(ClipError, match="no person found in any of 3 frames"):
        stack_frames({number: np.zeros((1, 135, 3), np.float32) for number in range(3)}, 3, "x")


def test_a_folder(tmp_path: Path) -> None:
    keypoints = moving_keypoints(12, 3)
    write_keypoints(tmp_path / "kp", "a_color", keypoints)
    (tmp_path / "kp" / "notes.txt").touch()
    np.testing.assert_array_equal(read_folder(tmp_path / "kp", 12, "a.mp4"), keypoints.astype(np.float32))
    (tmp_path / "none").mkdir()
    with pytest.raises(ClipError, match=r"a\.mp4: the estimator wrote no frame's keypoints"):
        read_folder(tmp_path / "none", 12, "a.mp4")


def test_hidden_files_are_no_frames(tmp_path: Path) -> None:
    """As macOS writes them beside every file on a disk that is not its own."""
    keypoints = moving_keypoints(3, 3)
    write_keypoints(tmp_path / "kp", "a_color", keypoints)
    for path in list((tmp_path / "kp").iterdir()):
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7Mac OS X")
    np.testing.assert_array_equal(read_folder(tmp_path / "kp", 3, "a.mp4"), keypoints.astype(np.float32))


def test_a_frame_that_is_there_twice_names_both_files(tmp_path: Path) -> None:
    for name in ("b_color", "a_color"):
        write_keypoints(tmp_path / "kp", name, moving_keypoints(1, 3))
    with pytest.raises(ClipError) as caught:
        read_folder(tmp_path / "kp", 1, "a.mp4")
    one, other = (f"{name}_color_{0:012d}_keypoints.json" for name in "ab")
    assert str(caught.value) == f"{tmp_path / 'kp'}: {one} and {other} are both frame 0; remove one"
