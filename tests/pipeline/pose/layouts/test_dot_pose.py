"""`.pose` files written here by pose-format, and its absence; the corpus' are in test_read.py."""

import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.data.keypoint_files import SIZE, corpus, mediapipe_form, signer

from pipeline.errors import ClipError
from pipeline.pose.layouts.dot_pose import NAMES
from pipeline.pose.layouts.find import find_layout
from pipeline.pose.layouts.read import read_keypoints
from shards.errors import InputError

pytest.importorskip("pose_format")


def write(path: Path, components: list[tuple[str, list[str]]], points: np.ndarray, size: tuple[int, int]) -> Path:
    """A `.pose` of (T, P, N, 3) points, in version 0.2."""
    from pose_format import Pose
    from pose_format.numpy import NumPyPoseBody
    from pose_format.pose_header import PoseHeader, PoseHeaderComponent, PoseHeaderDimensions

    parts = [PoseHeaderComponent(name, names, [], [], "XYC") for name, names in components]
    header = PoseHeader(0.2, PoseHeaderDimensions(*size, 0), parts)
    body = NumPyPoseBody(
        25.0, np.ma.masked_array(points[..., :2].astype(np.float32)), points[..., 2].astype(np.float32)
    )
    with path.open("wb") as file:
        Pose(header, body).write(file)
    return path


def holistic(points: np.ndarray) -> tuple[list[tuple[str, list[str]]], np.ndarray]:
    """Components and (T, N, 3) points in pixels of the signer, in another order of components, with world points."""
    pixels = points * [*SIZE, 1]
    runs = [pixels[:, :33], pixels[:, 33:511], pixels[:, 511:532], pixels[:, 532:]]
    parts = [(name, names.split()) for name, names in NAMES["pose-holistic"]]
    order = [3, 1, 0, 2]
    components = [("POSE_WORLD_LANDMARKS", parts[0][1])] + [parts[index] for index in order]
    return components, np.concatenate([pixels[:, :33] * 0.01, *(runs[index] for index in order)], axis=1)


def test_points_are_found_by_name(tmp_path: Path) -> None:
    points = signer()
    components, values = holistic(points)
    path = write(tmp_path / "a.pose", components, values[:, None], SIZE)
    layout = find_layout(path)
    assert layout.name == "pose-holistic"
    keypoints = read_keypoints(path, layout, None)
    np.testing.assert_allclose(keypoints.points, mediapipe_form(points), atol=1e-3)
    assert (keypoints.fps, keypoints.size) == (25.0, SIZE)
    keep = [place for place in range(values.shape[1]) if place % 7]
    names = [(component, name) for component, own in components for name in own]
    reduced = [
        (component, [names[place][1] for place in keep if names[place][0] == component]) for component, _ in components
    ]
    found = read_keypoints(write(tmp_path / "b.pose", reduced, values[:, None, keep], SIZE), layout, None).points
    kept = found[..., 2].any(axis=0)
    assert 100 < kept.sum() < 130
    others = kept & ~np.isin(np.arange(135), (17, 18))  # an ear may be gone, and the eyes stand in
    np.testing.assert_allclose(found[:, others], mediapipe_form(points)[:, others], atol=1e-3)


def test_missing_points_and_several_people(tmp_path: Path) -> None:
    points = signer()
    components, values = holistic(points)
    small = values * [0.3, 0.3, 1]
    people = np.stack([small, values], axis=1)
    people[2:4] = people[2:4, ::-1]
    people[4, 1, 500:, 2] = 0
    people[4, 1, 500:, :2] = 320, 240  # a missing point need not lie at 0
    people[5, 1, 33:54] = np.nan  # the right hand
    path = write(tmp_path / "a.pose", components, people, SIZE)
    found = read_keypoints(path, find_layout(path), None).points
    np.testing.assert_allclose(found[:4], mediapipe_form(points)[:4], atol=1e-3)
    assert not (found[4, :, :2] == (320, 240)).all(axis=1).any()
    assert not found[5, 45:65].any() and found[5, 25:45].all()


def test_the_size_of_the_header(tmp_path: Path) -> None:
    points = signer()
    components, values = holistic(points)
    path = write(tmp_path / "a.pose", components, values[:, None], SIZE)
    layout = find_layout(path)
    found = read_keypoints(path, layout, (1280, 960))  # as estimated in a version of half the size
    assert found.size == (1280, 960)
    np.testing.assert_allclose(found.points[..., :2], 2 * mediapipe_form(points)[..., :2], atol=2e-3)
    with pytest.raises(ClipError, match=r"a.pose: keypoints of a picture of 640×480, where the clip's is 480×640"):
        read_keypoints(path, layout, (480, 640))


def test_hands_in_the_places_of_the_face(tmp_path: Path) -> None:
    components = [(name, names.split()) for name, names in NAMES["body25"]]
    points = np.zeros((4, 1, 137, 3))
    points[:, :, : 25 + 42] = np.random.default_rng(0).uniform(0.2, 1, (4, 1, 67, 3)) * [500, 500, 1]
    path = write(tmp_path / "a.pose", components, points, (1000, 1000))
    with pytest.raises(ClipError, match=r"a.pose: hands are never seen, and the face has 42 points"):
        read_keypoints(path, find_layout(path), None)


def test_the_psl_file_is_refused() -> None:
    path = corpus("pose_v02_openpose") / "psl_good.pose"
    with pytest.raises(ClipError, match=r"psl_good.pose: hands are never seen"):
        read_keypoints(path, find_layout(path), None)


def test_damaged_files(tmp_path: Path) -> None:
    components, values = holistic(signer())
    content = write(tmp_path / "a.pose", components, values[:, None], SIZE).read_bytes()
    layout = find_layout(tmp_path / "a.pose")
    for cut in (0, 3, 20, 400, 3000, len(content) // 2, len(content) - 1):
        (tmp_path / "b.pose").write_bytes(content[:cut])
        with pytest.raises(ClipError, match=r"b.pose: a damaged .pose file"):
            read_keypoints(tmp_path / "b.pose", layout, None)
    (tmp_path / "b.pose").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ClipError, match=r"b.pose: a damaged .pose file"):
        find_layout(tmp_path / "b.pose")


def test_without_pose_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.pose").touch()
    monkeypatch.setitem(sys.modules, "pose_format", None)
    with pytest.raises(InputError, match=r"a.pose: .pose files need pose-format; pip install 'signshards\[pose\]'"):
        find_layout(tmp_path / "a.pose")
