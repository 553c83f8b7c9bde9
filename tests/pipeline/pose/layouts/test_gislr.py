"""Google ISLR's parquet, written here; the corpus' file is in test_read.py."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.data.keypoint_files import SIZE, signer

from pipeline.errors import ClipError
from pipeline.pose.layouts.find import find_layout
from pipeline.pose.layouts.read import read_keypoints
from pipeline.pose.scripts.mediapipe_openpose import to_body135

KINDS = {"face": slice(33, 501), "left_hand": slice(511, 532), "pose": slice(0, 33), "right_hand": slice(532, 553)}


def write(path: Path, points: np.ndarray, frames: list[int], **changed: Any) -> Path:
    columns: dict[str, list[Any]] = {name: [] for name in ("frame", "type", "landmark_index", "x", "y", "z")}
    for frame, values in zip(frames, points, strict=True):
        for kind, rows in KINDS.items():
            for index, (x, y, _) in enumerate(values[rows]):
                for name, value in zip(columns, (frame, kind, index, x, y, 0.0), strict=True):
                    columns[name].append(value)
    table = pa.table({**columns, **changed})
    pq.write_table(table.set_column(0, "frame", table["frame"].cast(pa.int16())), path)
    return path


def test_frames_from_any_number_with_gaps(tmp_path: Path) -> None:
    points = signer(3)
    points[1, 532:] = np.nan
    path = write(tmp_path / "a.parquet", points, [83, 84, 87])
    layout = find_layout(path)
    assert layout.name == "gislr"
    found = read_keypoints(path, layout, SIZE).points
    points[..., 2] = 1  # there is no visibility
    for place, frame in ((0, 0), (4, 2)):
        expected = to_body135(
            points[frame, :33], points[frame, 511:532], points[frame, 532:], points[frame, 33:511], SIZE
        )
        np.testing.assert_allclose(found[place, :133], expected[:133], atol=1e-3)
    assert found[1, 25:45].all() and not found[1, 45:65].any()
    assert len(found) == 5 and not found[2:4].any()


def test_two_clips_in_one_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", np.concatenate([signer(3), signer(3)]), [0, 1, 2, 0, 1, 2])
    with pytest.raises(ClipError, match=r"a.parquet: a frame has the same landmark twice"):
        read_keypoints(path, find_layout(path), SIZE)


def test_rows_that_are_no_landmarks(tmp_path: Path) -> None:
    points = signer(1)
    layout = find_layout(write(tmp_path / "a.parquet", points, [0]))
    kinds = [kind for kind, rows in KINDS.items() for _ in range(rows.stop - rows.start)]
    indices = [index for rows in KINDS.values() for index in range(rows.stop - rows.start)]
    for changed, said in (
        ({"type": ["foot", *kinds[1:]]}, "row 0 is foot 0"),
        ({"landmark_index": [*indices[:-1], 21]}, "row 542 is right_hand 21"),
        ({"x": ["a"] * 543}, "damaged, or not Google ISLR's columns"),
    ):
        path = write(tmp_path / "b.parquet", points, [0], **changed)
        with pytest.raises(ClipError, match=f"b.parquet: {said}"):
            read_keypoints(path, layout, SIZE)
    (tmp_path / "c.parquet").write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ClipError, match=r"c.parquet: "):
        find_layout(tmp_path / "c.parquet")
