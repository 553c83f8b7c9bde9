"""Keypoint files of a made-up signer in the layouts that people have, and the corpus of real ones under ../shared."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.data.clip_making import SHARED
from pipeline.pose.scripts.mediapipe_openpose import to_body135

FORMATS = SHARED / "data" / "formats"
SIZE = (640, 480)


def corpus(item: str) -> Path:
    """A folder of the corpus; the test skips where it is not here."""
    if not (FORMATS / item).is_dir():
        pytest.skip(f"{FORMATS / item} is not here: these files are not part of the project")
    return FORMATS / item


def check_points(points: np.ndarray, expected: list[dict[str, Any]], tolerance: float) -> None:
    """Compare (T, 135, 3) points with the corpus' list of them."""
    assert expected
    rows = [entry["frame"] for entry in expected], [entry["point"] for entry in expected]
    np.testing.assert_allclose(points[rows], [entry["x_y_score"] for entry in expected], atol=tolerance, rtol=0)


def check_sums(points: np.ndarray, expected: dict[str, Any]) -> None:
    """Compare the number of missing points and the sums of all coordinates with the corpus'."""
    seen = points[..., 2] > 0
    assert len(points) == expected["frames"]
    assert int((~seen.any(axis=1)).sum()) == expected["frames_without_anybody"]
    assert np.flatnonzero(~seen.any(axis=0)).tolist() == expected["points_never_seen"]
    assert int((~seen).sum()) == expected["missing_pairs_of_frame_and_point"]
    total = points[..., :2].astype(np.float64).sum(axis=(0, 1))
    np.testing.assert_allclose(total, [expected["sum_x"], expected["sum_y"]], rtol=1e-6)


def signer(frames: int = 6, seed: int = 0) -> np.ndarray:
    """(T, 33 + 478 + 21 + 21, 3) of MediaPipe's points: x, y as fractions, visibility; a body with hands at its wrists.

    Left is the person's left, and so right in the picture.
    """
    random = np.random.default_rng(seed)
    points = np.ones((frames, 553, 3))
    body = random.uniform(0.4, 0.6, (33, 2))
    body[[0, 7, 8]] = (0.5, 0.2), (0.55, 0.21), (0.45, 0.19)
    body[[11, 12, 13, 14, 15, 16]] = (0.6, 0.4), (0.4, 0.41), (0.7, 0.6), (0.3, 0.6), (0.72, 0.5), (0.28, 0.52)
    body[[23, 24]] = (0.57, 0.9), (0.43, 0.9)
    points[:, :33, :2] = body + random.normal(0, 0.002, (frames, 33, 2))
    points[:, :33, 2] = random.uniform(0.6, 1, (frames, 33))
    points[:, 33:511, :2] = points[:, :1, :2] + random.uniform(-0.04, 0.04, (478, 2))
    points[:, 34, :2] = points[:, 0, :2]  # the tip of the nose
    for first, wrist in ((511, 15), (532, 16)):
        points[:, first : first + 21, :2] = points[:, [wrist], :2] + random.uniform(-0.03, 0.03, (21, 2))
        points[:, first, :2] = points[:, wrist, :2]
    return points


def mediapipe_form(points: np.ndarray) -> np.ndarray:
    """float32 (T, 135, 3): what `mediapipe_openpose.py` makes of the signer."""
    return np.array([to_body135(f[:33], f[511:532], f[532:], f[33:511], SIZE) for f in points], np.float32)


def flat(points: np.ndarray) -> np.ndarray:
    """The 1662 numbers of (T, 553, 3) points: pose with z and visibility, 468 of the face, hands."""
    z = np.full((*points.shape[:2], 1), 9.0)
    pose = np.concatenate([points[:, :33, :2], z[:, :33], points[:, :33, 2:]], axis=2)
    rest = np.concatenate([points[..., :2], z], axis=2)
    parts = (pose, rest[:, 33:501], rest[:, 511:532], rest[:, 532:])
    return np.concatenate([part.reshape(len(points), -1) for part in parts], axis=1)


def write_json(folder: Path, people: list[list[dict[str, Any]]], first: int = 0, digits: int = 12) -> Path:
    """A folder of OpenPose's JSON, one file for each frame."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(people, first):
        (folder / f"clip_{number:0{digits}d}_keypoints.json").write_text(json.dumps({"version": 1.3, "people": frame}))
    return folder


def body25(points: np.ndarray) -> list[dict[str, Any]]:
    """A person of BODY_25 with face and hands for each frame, in pixels, from the signer's points."""
    pixels = points.copy()
    pixels[..., :2] *= SIZE
    order = [0, 0, 12, 14, 16, 11, 13, 15, 0, 24, 26, 28, 23, 25, 27, 5, 2, 8, 7, 31, 31, 29, 32, 32, 30]
    people = []
    for frame in pixels:
        body = frame[order].copy()
        body[1], body[8] = (frame[11] + frame[12]) / 2, (frame[23] + frame[24]) / 2
        parts = (body, frame[33:103], frame[511:532], frame[532:553])
        keys = ("pose", "face", "hand_left", "hand_right")
        people.append({f"{key}_keypoints_2d": part.ravel().tolist() for key, part in zip(keys, parts, strict=True)})
    return people
