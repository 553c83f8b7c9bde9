"""Google ISLR's parquet files: one row for each landmark of each frame."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import ClipError
from pipeline.pose.layouts.keypoint_files import one_line
from pipeline.pose.layouts.layout import BODY, FACE, LEFT_HAND, RIGHT_HAND, FileKeypoints, KeypointLayout, mark_missing
from pipeline.pose.layouts.point_tables import LAYOUTS
from shards.errors import InputError
from shards.parquet import read_parquet

COLUMNS = ("frame", "type", "landmark_index", "x", "y")
_TYPES = {BODY: "pose", FACE: "face", LEFT_HAND: "left_hand", RIGHT_HAND: "right_hand"}
# A file of 1,000 s at 30 frames per second has 30,000; a number beyond is damage that would fill the memory.
_MOST_FRAMES = 100_000


def look(path: Path) -> KeypointLayout | str:
    """The layout of a parquet file, or why it cannot be used.

    Raises:
        ClipError: the file is damaged.
    """
    try:
        names = pq.read_schema(path).names
    except (pa.ArrowException, OSError) as error:
        raise ClipError(f"{path}: not a parquet file ({one_line(error)})") from error
    lacking = [name for name in COLUMNS if name not in names]
    return f"a parquet file without the columns {', '.join(lacking)}" if lacking else LAYOUTS["gislr"]


def load(path: Path, layout: KeypointLayout) -> FileKeypoints:
    """The person of every frame, from the lowest frame number on; a number without rows is a frame without anybody.

    Raises:
        ClipError: the file is damaged, or its rows are not those of Holistic's landmarks, each once.
    """
    try:
        table = read_parquet(path, columns=COLUMNS)
        frames, kinds, indices, x, y = (table[name].to_numpy() for name in COLUMNS)
        frames, indices = frames.astype(np.int64), indices.astype(np.int64)
        x, y = x.astype(np.float64), y.astype(np.float64)
    except (InputError, pa.ArrowException, OSError, ValueError, TypeError) as error:
        raise ClipError(f"{path}: damaged, or not Google ISLR's columns ({one_line(error)})") from error
    if not len(frames) or frames.max() - frames.min() >= _MOST_FRAMES:
        raise ClipError(f"{path}: no rows, or frame numbers that are no clip's")
    place = np.full(len(frames), -1)  # of each row among all points of all frames
    for part, start in layout.placed():
        rows = (kinds == _TYPES[part.name]) & (indices >= 0) & (indices < part.points)
        place[rows] = (frames[rows] - frames.min()) * layout.points + start + indices[rows]
    if (place < 0).any():
        row = int((place < 0).argmax())
        raise ClipError(f"{path}: row {row} is {kinds[row]} {indices[row]}, which is no landmark of Holistic")
    if len(np.unique(place)) < len(place):
        raise ClipError(f"{path}: a frame has the same landmark twice, as where two clips are in one file")
    points = np.zeros((int(frames.max() - frames.min()) + 1, 1, layout.points, 3))
    points.reshape(-1, 3)[place] = np.stack([x, y, np.ones(len(x))], axis=1)
    return FileKeypoints(mark_missing(points))
