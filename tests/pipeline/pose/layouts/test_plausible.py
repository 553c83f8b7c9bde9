"""What is said of keypoints that are not a clip's, and nothing of real ones."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from helpers.data.clip_making import SHARED
from helpers.data.keypoint_files import SIZE, flat, signer

from pipeline.pose.archive import archive_parts, read_members
from pipeline.pose.layouts.find import find_layout
from pipeline.pose.layouts.plausible import problems
from pipeline.pose.layouts.read import read_keypoints
from pipeline.pose.openpose_json import FRAME_FILE, parse_frame


@pytest.fixture
def points(tmp_path: Path) -> np.ndarray:
    np.save(tmp_path / "a.npy", flat(signer(10)))
    return read_keypoints(tmp_path / "a.npy", find_layout(tmp_path / "a.npy"), SIZE).points


def said(points: np.ndarray, size: tuple[int, int] = SIZE, frames: int | None = None) -> list[tuple[str, bool]]:
    return [(problem.reason, problem.refuse) for problem in problems(points, size, frames or len(points))]


def test_a_signer_is_plausible(points: np.ndarray) -> None:
    assert said(points) == said(points, SIZE, 10) == []


def change(points: np.ndarray, rows: object = slice(None), **kind: float) -> np.ndarray:
    """The points with x, y of some changed: times, plus."""
    points = points.copy()
    seen = points[:, rows, 2:] > 0
    points[:, rows, :2] = (points[:, rows, :2] * kind.get("times", 1) + kind.get("plus", 0)) * seen
    return points


def test_units_and_pictures(points: np.ndarray) -> None:
    fractions = points / [*SIZE, 1]
    for wrong, reason, refuse in (
        (fractions, "coordinates of 0…1 are taken for pixels", True),
        (np.where(points[..., 2:] > 0, fractions * 2 - 1, 0), "coordinates of -1…1 are taken for pixels", True),
        (change(points, times=0.5), "upper left quarter", False),
        (change(points, times=3), "keypoints of a larger one", True),
        (change(points, times=2), "keypoints of a larger one", False),
        (np.where(points[..., 2:] > 0, points - [*points[0, 17, :2], 0], 0), "not counted from its upper left", False),
        (points[..., [1, 0, 2]], "the person lies on the side", False),
        (np.where(points[..., 2:] > 0, [0, 480, 0] + points * [1, -1, 1], 0), "stands on the head", False),
        (np.where(points[..., 2:] > 0, [640, 0, 0] + points * [-1, 1, 1], 0), "the left shoulder is left", False),
    ):
        (found,) = said(wrong)
        assert reason in found[0] and found[1] == refuse, found


def test_hands(points: np.ndarray) -> None:
    swapped = points.copy()
    swapped[:, 25:45], swapped[:, 45:65] = points[:, 45:65], points[:, 25:45]
    assert said(swapped) == [("the hands are at the other hand's wrist: left and right hand exchanged", False)]
    away = change(points, slice(25, 65), plus=200)
    (found,) = said(away)
    assert "from their wrists" in found[0] and not found[1]
    none = points.copy()
    none[:, 25:65] = none[:, 9:11] = 0
    assert said(none) == [("no hand and no wrist in any frame", False)]


def test_missing_and_frames(points: np.ndarray) -> None:
    assert said(points, SIZE, 11) == [("keypoints of 10 frames for a video of 11", True)]
    assert said(np.zeros_like(points)) == [("no person in any of 10 frames", True)]
    points[1:] = 0
    assert said(points) == [("a person in 1 of 10 frames", False)]


def test_real_keypoints_of_autsl_mini(autsl_mini: Path) -> None:
    clips: dict[str, dict[int, np.ndarray]] = {}
    for name, content in read_members(archive_parts(autsl_mini / "kp.tar.bz2.aa")):
        if match := FRAME_FILE.search(name):
            clips.setdefault(name.split("/")[-2], {})[int(match[1])] = parse_frame(content, name)
    assert len(clips) == 24
    for name, frames in clips.items():
        assert said(np.concatenate([frames[number][:1] for number in sorted(frames)]), (512, 512), len(frames)) == [], (
            name
        )


def test_real_keypoints_of_webcams() -> None:
    folder = SHARED / "data" / "asl-words" / "clips"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here: these recordings are not part of the project")
    found: Counter[tuple[str, bool]] = Counter()
    for path in sorted(folder.glob("*.npy"))[::10]:
        found.update(said(read_keypoints(path, find_layout(path), SIZE).points))
    # In some clips of the idle class the arms hang below the picture.
    assert set(found) <= {("no hand and no wrist in any frame", False)} and found.total() < 10
