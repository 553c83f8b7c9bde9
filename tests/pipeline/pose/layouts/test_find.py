"""What a file or folder is, what is refused, and which file belongs to which sample."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.data.clip_making import SHARED, moving_keypoints, write_keypoints
from helpers.data.keypoint_files import SIZE, body25, corpus, flat, signer, write_json

from pipeline.pose.layouts.find import find_keypoints, find_layout
from pipeline.pose.layouts.plausible import problems
from pipeline.pose.layouts.read import read_keypoints
from shards.errors import InputError


def refused(path: Path, said: str, name: str | None = None) -> None:
    with pytest.raises(InputError) as caught:
        find_layout(path, name)
    message = caught.value.message
    assert message.startswith(f"{path}: ") and said in message and "\n" not in message, message
    assert name is not None or "What can be read: OpenPose BODY_135" in message


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ("openpose_coco18", "COCO-18"),
        ("openpose_body25_only/psychologie", "a body without hands"),
        ("openpose_body25_people/output_json", "a body without hands"),
        ("mediapipe_npy_126/MP_Data_New_Trained/yes/0", "two hands without a body"),
        ("pose_v01_hand_only_nan/mediapipe_hand_normalized.pose", "'RIGHT_HAND_LANDMARKS'; body and both hands"),
        ("mmpose_json_17/original_30fps.json", "mmpose's JSON, which is not read; it has 17 points"),
        ("mmpose_json_17/demo.json", "mmpose's JSON, which is not read; it has 17 points"),
        ("README.md", "not a kind of file that holds keypoints"),
        ("mediapipe_npy_258", "a folder without"),
    ],
)
def test_what_cannot_be_used_of_the_corpus(item: str, said: str) -> None:
    if item.endswith(".pose"):
        pytest.importorskip("pose_format")
    refused(corpus(".") / item, said)


def test_what_cannot_be_used_made_here(tmp_path: Path) -> None:
    for people in body25(signer(2)):
        hands = {key: [] for key in people if "hand" in key}
        write_json(tmp_path / "no_hands", [[people | hands]])
        write_json(tmp_path / "coco", [[{"pose_keypoints_2d": [1.0] * 54}]])
        write_json(tmp_path / "odd", [[{"pose_keypoints_2d": [1.0] * 60}]])
    refused(tmp_path / "no_hands", "a body without hands")
    refused(tmp_path / "coco", "COCO-18")
    refused(tmp_path / "odd", "60 numbers")
    shapes = {
        (5, 17, 3): "a body without hands",
        (5, 21, 3): "one hand",
        (5, 63): "one hand",
        (5, 3, 133): "an array of",
        (2, 5, 133, 3): "more people than frames",
    }
    shapes |= {(5, 77): "no layout's number of points", (5,): "an array of (5,)", (5, 543, 3): "name it with"}
    for number, (shape, said) in enumerate(shapes.items()):
        np.save(tmp_path / f"x{number}x.npy", np.zeros(shape))
        refused(tmp_path / f"x{number}x.npy", said)
    pq.write_table(pa.table({"frame": [1], "x_face_0": [0.5]}), tmp_path / "wide.parquet")
    refused(tmp_path / "wide.parquet", "without the columns type, landmark_index, x, y")


def test_a_layout_that_is_named(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((5, 543, 3)))
    assert find_layout(tmp_path / "a.npy", "gislr").name == "gislr"
    np.save(tmp_path / "b.npy", flat(signer()))
    refused(tmp_path / "b.npy", "not wholebody133; leave --keypoint-layout out, or name mediapipe1662", "wholebody133")
    with pytest.raises(InputError, match="none: no such keypoint layout; there are body135, body25, body25b"):
        find_layout(tmp_path / "b.npy", "none")
    with pytest.raises(InputError, match="no such file or folder"):
        find_layout(tmp_path / "c.npy")


def test_body25_and_body25b_are_told_apart(tmp_path: Path) -> None:
    people = body25(signer())
    assert find_layout(write_json(tmp_path / "a", [[person] for person in people])).name == "body25"
    body135 = moving_keypoints(6, 0)
    body135[:, [0, 1, 2, 3, 4], :2] = (80, 30), (84, 27), (76, 27), (90, 28), (70, 28)
    for person, frame in zip(people, body135, strict=True):
        person["pose_keypoints_2d"] = frame[:25].ravel().tolist()
    assert find_layout(write_json(tmp_path / "b", [[person] for person in people])).name == "body25b"
    found = read_keypoints(tmp_path / "b", find_layout(tmp_path / "b"), None).points
    np.testing.assert_array_equal(found[:, :25], body135[:, :25].astype(np.float32))
    for person in people:
        person["pose_keypoints_2d"] = [0.0] * 72 + person["pose_keypoints_2d"][-3:]
    write_json(tmp_path / "c", [[person] for person in people])
    refused(tmp_path / "c", "name it with --keypoint-layout body25 or body25b")
    assert find_layout(tmp_path / "c", "body25b").name == "body25b"


def test_a_folder_in_which_nobody_was_found_stops_no_run(tmp_path: Path) -> None:
    layout = find_layout(write_json(tmp_path / "a.kp", [[], []]))
    points = read_keypoints(tmp_path / "a.kp", layout, SIZE).points
    assert [problem.reason for problem in problems(points, SIZE, 2)] == ["no person in any of 2 frames"]


def test_names_of_files_and_folders(tmp_path: Path) -> None:
    clip = flat(signer(2))
    for name in ("a.npy", "b_color.mp4.npy", "sub/c_color.npy", "sub/d.e.npy", "word/0.npy", "20.npy", "._a.npy"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        np.save(tmp_path / name, clip)
    for name in ("f.kp", "g_color.kp", "h", "other/0"):
        write_json(tmp_path / name, [[]])
    frames = tmp_path / "i"
    frames.mkdir()
    np.save(frames / "0.npy", clip[0])
    (tmp_path / "sub" / "back").symlink_to(tmp_path)
    (tmp_path / "a.txt").touch()
    expected = {"a": "a.npy", "b": "b_color.mp4.npy", "c": "sub/c_color.npy", "d_e": "sub/d.e.npy", "20": "20.npy"}
    expected |= {"word_0": "word/0.npy", "other_0": "other/0", "f": "f.kp", "g": "g_color.kp", "h": "h", "i": "i"}
    found = find_keypoints(tmp_path, [*expected, "none"])
    assert found == {sample_id: tmp_path / name for sample_id, name in expected.items()}
    with pytest.raises(InputError) as caught:
        find_keypoints(tmp_path, ["0"])
    assert f"{tmp_path}/other/0 and {tmp_path}/word/0.npy: both are keypoints of 0" in caught.value.message


def test_names_in_either_unicode_form(tmp_path: Path) -> None:
    np.save(tmp_path / "cafe\u0301.npy", np.zeros(1))
    assert list(find_keypoints(tmp_path, ["caf\u00e9"])) == ["caf\u00e9"]


def test_an_id_that_ends_in_color(tmp_path: Path) -> None:
    write_json(tmp_path / "a_color.kp", [[]])
    assert find_keypoints(tmp_path, ["a", "a_color"]) == {"a_color": tmp_path / "a_color.kp"}
    assert find_keypoints(tmp_path, ["a"]) == {"a": tmp_path / "a_color.kp"}
    write_json(tmp_path / "a.kp", [[]])
    found = find_keypoints(tmp_path, ["a", "a_color"])
    assert found == {"a_color": tmp_path / "a_color.kp", "a": tmp_path / "a.kp"}
    with pytest.raises(InputError, match=r"a.kp and .*a_color.kp: both are keypoints of a"):
        find_keypoints(tmp_path, ["a"])


def test_the_same_clip_in_two_splits(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_keypoints(tmp_path / split / "a_color.kp", "a_color", moving_keypoints(2, 0))
    with pytest.raises(InputError, match=r"test/a_color.kp and .*train/a_color.kp: both are keypoints of a"):
        find_keypoints(tmp_path, ["a"])
    assert set(find_keypoints(tmp_path, ["train_a", "test_a"])) == {"train_a", "test_a"}


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("kp-half-size", "upper left quarter"),
        ("kp-person-in-one-frame", "a person in 1 of 16 frames"),
        ("kp-missing-minus-one", None),
        ("kp-normalised-01", None),
        ("kp-two-people-order-flips", None),
    ],
)
def test_cases(tmp_path: Path, case: str, said: str | None) -> None:
    archive = SHARED / "cases" / case / "kp.tar.gz"
    if not archive.is_file():
        pytest.skip(f"{archive} is not here")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    folder = find_keypoints(tmp_path, ["clip"])["clip"]
    points = read_keypoints(folder, find_layout(folder), (160, 120)).points
    found = [problem.reason for problem in problems(points, (160, 120), len(points))]
    assert not found if said is None else any(said in reason for reason in found)
    there = points[points[:, 9].any(axis=1), 9, :2]
    if case == "kp-missing-minus-one":
        assert len(there) < len(points) and (there > 0).all()
    if case == "kp-normalised-01":
        assert there.max() > 30
    if case == "kp-two-people-order-flips":
        assert np.linalg.norm(np.diff(there, axis=0), axis=1).max() < 30


def test_mmpose_of_133_points_is_told_by_its_points(tmp_path: Path) -> None:
    people = [{"keypoints": [[1, 2]] * 133, "keypoint_scores": [1] * 133}]
    (tmp_path / "a.json").write_text(json.dumps({"instance_info": [{"frame_id": 1, "instances": people}]}))
    refused(tmp_path / "a.json", "it has 133 points")
