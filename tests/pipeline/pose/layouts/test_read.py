"""Every layout from its file to BODY_135: the corpus' numbers, and files made here."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from helpers.data.keypoint_files import (
    SIZE,
    body25,
    check_points,
    check_sums,
    corpus,
    flat,
    mediapipe_form,
    signer,
    write_json,
)

from pipeline.errors import ClipError
from pipeline.pose.layouts.apply import apply_layout
from pipeline.pose.layouts.find import find_layout
from pipeline.pose.layouts.layout import KeypointLayout
from pipeline.pose.layouts.point_tables import LAYOUTS
from pipeline.pose.layouts.read import load_source, read_keypoints


def raw(path: Path, layout: KeypointLayout, size: tuple[int, int] | None = None, person: int = 0) -> np.ndarray:
    """What the table gives, before thresholds and constructed points; fractions of a picture of 1×1 stay fractions."""
    return apply_layout(load_source(path, layout).points[:, person], layout, size)


def test_psl_from_json_that_starts_at_1_with_gaps() -> None:
    item = corpus("openpose_body25_hands")
    expected = json.loads((item / "expected.json").read_text())
    (good,) = (item / "good").iterdir()
    points = raw(good, find_layout(good))
    check_points(points, expected["good"]["points"], 1e-3)
    check_sums(points, expected["good"])
    finished = read_keypoints(good, find_layout(good), None).points
    assert not finished[:, 25:45].any()  # scores of 0.015: OpenPose saw a wrist, and no hand
    there = points[:, 9].any(axis=1)
    assert finished[there][:, 45:65].any(axis=(1, 2)).all()
    assert finished[there][:, 17].any(axis=1).mean() > 0.9  # the neck
    (name,) = (item / "name").iterdir()
    check_points(raw(name, find_layout(name)), expected["name"]["points"], 1e-3)


def test_openpose_with_a_face_in_the_order_of_the_numbers() -> None:
    item = corpus("openpose_body25_face_hands")
    expected = json.loads((item / "expected.json").read_text())
    points = raw(item / "germinados", find_layout(item / "germinados"))
    check_points(points, expected["points"], 1e-3)
    check_sums(points, expected)


def test_the_table_of_a_body_alone() -> None:
    """It is refused by `find_layout`; its numbers are the longest test of BODY_25's table."""
    item = corpus("openpose_body25_only")
    expected = json.loads((item / "expected.json").read_text())
    points = raw(item / "psychologie", LAYOUTS["body25"])
    check_points(points, expected["points"], 1e-3)
    check_sums(points, expected)


def test_openpose_with_fractions(tmp_path: Path) -> None:
    item = corpus("openpose_body25_normalised")
    expected = json.loads((item / "expected.json").read_text())
    (tmp_path / "x_000000000000_keypoints.json").write_bytes((item / "from_readme.json").read_bytes())
    layout = find_layout(tmp_path)
    check_points(raw(tmp_path, layout, (1, 1)), expected["as_in_the_file"], 1e-6)
    check_points(raw(tmp_path, layout, (320, 240)), expected["times_320x240"], 1e-3)
    with pytest.raises(ClipError, match=r"size of the picture must be known.*--picture-size"):
        read_keypoints(tmp_path, layout, None)


def test_wholebody_pickle() -> None:
    item = corpus("wholebody133_pkl")
    expected = json.loads((item / "expected.json").read_text())
    path = item / "12_10_2023_0.pkl"
    layout = find_layout(path)
    points = raw(path, layout)
    check_points(points, expected["points"], 1e-3)
    check_sums(points, expected)
    keypoints = read_keypoints(path, layout, None)
    assert keypoints.size == tuple(expected["size_of_the_video"])  # its w_h is the wrong way round
    assert keypoints.points[:, 17].any()
    assert keypoints.points[:, 13:17].any(axis=-1).mean() < 0.3  # legs below the picture
    assert keypoints.points[:, 25:65].any(axis=-1).all()


@pytest.mark.parametrize("numbers", [1662, 258])
def test_mediapipe_folders(numbers: int) -> None:
    item = corpus(f"mediapipe_npy_{numbers}")
    for name, expected in json.loads((item / "expected.json").read_text())["sequences"].items():
        layout = find_layout(item / name)
        assert layout.name == f"mediapipe{numbers}"
        points = raw(item / name, layout, (1, 1))
        assert len(points) == expected["frames"]
        check_points(points, expected["points"], 1e-5)
        for hand, rows in (("left", slice(25, 45)), ("right", slice(45, 65))):
            assert (~points[:, rows].any(axis=(1, 2))).sum() == expected[f"{hand}_hand_missing"]


def test_gislr() -> None:
    item = corpus("gislr_parquet")
    expected = json.loads((item / "expected.json").read_text())
    path = item / "10042041.parquet"
    points = raw(path, find_layout(path), (1, 1))
    check_points(points, expected["points"], 1e-5)
    assert len(points) == expected["frames"]
    assert np.flatnonzero(points[:, 25:45].any(axis=(1, 2))).tolist() == expected["frames_with_left_hand"]
    assert points[..., 1].max() == pytest.approx(expected["y_max"], abs=1e-3)
    assert not np.isnan(points).any()


def scenes() -> list[tuple[str, str]]:
    names = {
        "pose_v00_openpose": ["openpose"],
        "pose_v01_openpose": ["example"],
        "pose_v01_holistic_543": ["25October_2010_Monday_tagesschau-17"],
        "pose_v01_holistic_543_4d": ["signer0_sample1000"],
        "pose_v01_holistic_reduced": ["essen", "mediapipe"],
        "pose_v02_holistic_576": ["example"],
        "pose_v02_openpose": ["germinados", "people"],
    }
    return [(item, name) for item, files in names.items() for name in files]


@pytest.mark.parametrize(("item", "name"), scenes())
def test_dot_pose(item: str, name: str) -> None:
    pytest.importorskip("pose_format")
    folder = corpus(item)
    expected = json.loads((folder / f"expected_body135_{name}.json").read_text())
    path = folder / f"{name}.pose"
    layout = find_layout(path)
    points = raw(path, layout)
    if layout.name == "pose-holistic":
        assert points[:, 65:133].any() and not points[:, 133:].any()
        points[:, 65:] = 0  # the corpus has no face of MediaPipe's
    check_points(points, expected["points"], 1e-3)
    check_sums(points, expected)
    keypoints = read_keypoints(path, layout, None)
    assert keypoints.fps == pytest.approx(expected["fps"])
    header = json.loads((folder / f"expected_{name}.json").read_text())
    own = (header["width"], header["height"])
    assert keypoints.size == (own if layout.name == "pose-holistic" else None)


def test_openpose_json_of_a_made_signer(tmp_path: Path) -> None:
    points = signer()
    write_json(tmp_path / "x.kp", [[person] for person in body25(points)], first=1, digits=1)
    found = read_keypoints(tmp_path / "x.kp", find_layout(tmp_path / "x.kp"), None).points
    expected = mediapipe_form(points)
    same = [0, 3, 4, *range(5, 19), *range(25, 65)]
    np.testing.assert_allclose(found[:, same, :2], expected[:, same, :2], atol=1e-3)


def test_what_is_damaged_names_the_file(tmp_path: Path) -> None:
    write_json(tmp_path / "x.kp", [[person] for person in body25(signer())])
    layout = find_layout(tmp_path / "x.kp")
    broken = tmp_path / "x.kp" / "clip_000000000003_keypoints.json"
    for content, said in (("{", "not OpenPose's JSON"), ('{"people": [{}]}', "0 numbers in pose_keypoints_2d")):
        broken.write_text(content)
        with pytest.raises(ClipError, match=f"{broken}: {said}"):
            read_keypoints(tmp_path / "x.kp", layout, None)
    for name in ("a.npy", "a.npz", "a.pkl", "a.parquet"):
        for content in (b"", b"version https://git-lfs.github.com/spec/v1\n", b"\x93NUMPY\x01\0", b"PK\x03\4"):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(ClipError, match=f"{tmp_path / name}: "):
                find_layout(tmp_path / name)
    np.save(tmp_path / "a.npy", flat(signer()))
    with pytest.raises(ClipError, match=r"a.npy: an array of \(6, 1662\)"):
        read_keypoints(tmp_path / "a.npy", LAYOUTS["wholebody133"], SIZE)
    (tmp_path / "9.npy").touch()
    with pytest.raises(ClipError, match="no keypoints there"):
        read_keypoints(tmp_path, LAYOUTS["body135"], SIZE)


def test_a_pipe_or_a_giant_among_frames_fails_the_clip(tmp_path: Path) -> None:
    write_json(tmp_path / "a", [[person] for person in body25(signer(3))])
    _, second, *_ = sorted((tmp_path / "a").iterdir())
    second.unlink()
    os.mkfifo(second)
    with pytest.raises(ClipError, match="no plain file"):
        read_keypoints(tmp_path / "a", LAYOUTS["body25"], SIZE)
    second.unlink()
    with second.open("wb") as file:
        file.truncate(20 * 10**9)
    with pytest.raises(ClipError, match="larger than"):
        read_keypoints(tmp_path / "a", LAYOUTS["body25"], SIZE)
