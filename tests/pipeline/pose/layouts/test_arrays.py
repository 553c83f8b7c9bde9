"""Arrays made here, of every layout that they can have; the corpus' are in test_read.py."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from helpers.data.keypoint_files import SIZE, flat, mediapipe_form, signer

from pipeline.errors import ClipError
from pipeline.pose.layouts.find import find_layout
from pipeline.pose.layouts.point_tables import LAYOUTS
from pipeline.pose.layouts.read import read_keypoints
from shards.errors import InputError


def test_mediapipe_numbers_become_what_our_estimator_writes(tmp_path: Path) -> None:
    points = signer()
    points[2, [7, 15, 24], 2] = 0.3  # uncertain: an ear, which still has its place, a wrist and a hip
    points[3, 511:532, :2] = 0  # no left hand
    expected = mediapipe_form(points)
    expected[3, 25:45] = 0
    expected[:, 133:] = 0  # pupils: only among 478 points
    np.save(tmp_path / "clip.npy", flat(points))
    layout = find_layout(tmp_path / "clip.npy")
    assert layout.name == "mediapipe1662"
    np.testing.assert_allclose(read_keypoints(tmp_path / "clip.npy", layout, SIZE).points, expected, atol=1e-3)
    folder = tmp_path / "frames"
    folder.mkdir()
    for number, frame in enumerate(flat(points)):
        np.save(folder / f"{number * 3}.npy", frame)  # 12 comes before 3 by name; what is between is nobody
    found = read_keypoints(folder, find_layout(folder), SIZE).points
    assert len(found) == 16
    np.testing.assert_allclose(found[::3], expected, atol=1e-3)
    assert not found[1::3].any()


def test_other_numbers_of_mediapipe(tmp_path: Path) -> None:
    points = signer()
    expected = mediapipe_form(points)
    long = flat(points)
    pose, hands = long[:, :132].reshape(-1, 33, 4), long[:, 132 + 1404 :].reshape(-1, 42, 3)
    everything = np.concatenate([pose, np.ones((len(pose), 42, 4))], axis=1)
    everything[:, 33:, :3] = hands
    forms = {
        "mediapipe258": np.concatenate([long[:, :132], long[:, 1536:]], axis=1),
        "mediapipe226": np.concatenate([long[:, :100], long[:, 1536:]], axis=1),
        "mediapipe225": everything[..., :3].reshape(len(points), -1),
        "mediapipe75": everything,
    }
    body = [0, 3, 4, *range(5, 13)]
    for name, values in forms.items():
        np.save(tmp_path / "a.npy", values)
        layout = find_layout(tmp_path / "a.npy")
        assert layout.name == name
        found = read_keypoints(tmp_path / "a.npy", layout, SIZE).points[:, [*body, *range(25, 65)], :2]
        np.testing.assert_allclose(found, expected[:, [*body, *range(25, 65)], :2], atol=1e-3)
    np.save(tmp_path / "a.npy", np.roll(forms["mediapipe226"], 1, axis=1))
    with pytest.raises(InputError, match="hands are not at the wrists"):
        find_layout(tmp_path / "a.npy")


@pytest.mark.parametrize("numbers", [2, 3, 4])
@pytest.mark.parametrize("name", ["mediapipe543", "asl-citizen", "gislr"])
def test_543_points_in_the_order_that_fits(tmp_path: Path, name: str, numbers: int) -> None:
    points = signer()
    parts = {"body": points[:, :33], "face": points[:, 33:501], "left_hand": points[:, 511:532]}
    parts["right_hand"] = points[:, 532:]
    values = np.concatenate([parts[part.name] for part in LAYOUTS[name].parts], axis=1)
    z = np.full((*values.shape[:2], 1), -0.3)
    np.save(tmp_path / "a.npy", np.concatenate([values[..., :2], z, values[..., 2:]], axis=2)[..., :numbers])
    layout = find_layout(tmp_path / "a.npy")
    assert layout.name == name
    found = read_keypoints(tmp_path / "a.npy", layout, SIZE).points
    expected = mediapipe_form(points)
    expected[:, 133:] = 0
    np.testing.assert_allclose(found[..., :2], expected[..., :2], atol=1e-3)


def test_wholebody_arrays_and_a_mirrored_one(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    values = random.uniform(20, 400, (5, 133, 3))
    values[..., 2] = random.uniform(0.4, 1.05, (5, 133))
    values[1, 91:112, 2] = 0.1
    np.save(tmp_path / "a_color.mp4.npy", values)
    np.savez(tmp_path / "b.npz", keypoints=values[:, None, :, :2], scores=values[:, None, :, 2])
    (tmp_path / "c.pkl").write_bytes(
        pickle.dumps(
            {"keypoints": [f[None, :, :2] / (512, 512) for f in values], "scores": list(values[:, None, :, 2])}
        )
    )
    read = {}
    for path in sorted(tmp_path.iterdir()):
        layout = find_layout(path)
        assert layout.name == "wholebody133"
        read[path.name] = read_keypoints(path, layout, (512, 512)).points
    first = read["a_color.mp4.npy"]
    for points in read.values():
        np.testing.assert_allclose(points, first, atol=1e-3)
    np.testing.assert_allclose(first[0, 26], values[0, 93], rtol=1e-6)
    assert not first[1, 25:45].any()
    # SAM-SLR saw the picture mirrored: undone, every point is where its mirror image was.
    swapped = read_keypoints(tmp_path / "a_color.mp4.npy", layout, (512, 512), mirrored=True).points
    # Nose, shoulder, wrist, big toe, heel, thumbs, jaw, corner of the mouth: point of BODY_135, point of the file.
    pairs = ((0, 0), (5, 6), (9, 10), (19, 20), (21, 22), (26, 114), (45, 92), (65, 39), (113, 77))
    for target, source in pairs:
        row = values[0, source]
        np.testing.assert_allclose(swapped[0, target, :2], (511 - row[0], row[1]), atol=1e-3, err_msg=str(target))
    with pytest.raises(ClipError, match="the picture was mirrored"):
        read_keypoints(tmp_path / "a_color.mp4.npy", layout, None, mirrored=True)


def test_our_own_keypoints_come_back_to_the_bit(tmp_path: Path) -> None:
    points = mediapipe_form(signer())
    np.save(tmp_path / "a.npy", points)
    layout = find_layout(tmp_path / "a.npy")
    assert layout.name == "body135"
    np.testing.assert_array_equal(read_keypoints(tmp_path / "a.npy", layout, None).points, points)


def test_damaged_headers_are_told_in_one_line(tmp_path: Path) -> None:
    """numpy parses a header as Python, and its errors for damaged ones are of many kinds."""
    path = tmp_path / "a.npy"
    np.save(path, flat(signer(2)))
    whole, random = path.read_bytes(), np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        content = bytearray(whole)
        content[random.integers(128)] = random.integers(256)
        path.write_bytes(content)
        try:
            read_keypoints(path, find_layout(path), SIZE)
        except (ClipError, InputError) as error:
            assert str(path) in str(error) and "\n" not in str(error)
            refused += 1
    assert refused > 100
