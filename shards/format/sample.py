"""The sample: its members, their names and their JSON.

A sample is a handful of tar members that share the basename before the first dot:

    <id>.json               this module's `SampleInfo`
    <id>.left.mjpg          color crops of the left hand: baseline JPEGs, one after another
    <id>.right.mjpg
    <id>.left_depth.mjpg    gray JPEGs of the same boxes; only where the clip has depth
    <id>.right_depth.mjpg
    <id>.flow.npy           pose flow, float32 (T-1, 135, 2): angle in radians, magnitude in neck lengths
    <id>.pose.npy           keypoints, float32 (T, 135, 3): x, y in pixels, score; missing = 0

A sample without video, of which only keypoints are known, has `json`, `flow.npy` and `pose.npy`, and no hands in its
JSON.
"""

import io
import json
import math
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import orjson
from numpy.lib import format as npy_format

from shards.body135 import HANDS

# In the order in which they stand in a tar.
MEMBERS = ("json", "left.mjpg", "right.mjpg", "left_depth.mjpg", "right_depth.mjpg", "flow.npy", "pose.npy")
_LARGEST_NPY = 1 << 40  # numbers
_LARGEST = (1 << 31) - 1  # of the JSON's numbers: the index has int32
# Of a hand, the columns in the index of the numbers of frames in which it was guessed and missing. All null: not known.
HAND_COLUMNS = {hand: (f"{hand}_guessed", f"{hand}_missing") for hand in HANDS}
DEPTH_MEMBERS = ("left_depth.mjpg", "right_depth.mjpg")
# Larger crops are shrunk before they are stored; a JPEG of some hundred bytes could decode to gigabytes.
LARGEST_SHORT_SIDE = 256

# The largest number in keypoints (pixels, scores) and pose flow (neck lengths): half precision, in which models may
# compute, ends there, and no JPEG is wider than 65,535. Estimators guess points outside of the picture, but not so far.
LARGEST_NUMBER = 65_504.0


@dataclass(frozen=True)
class HandTrack:
    """One hand through a clip of T frames."""

    boxes: np.ndarray  # int (T, 4): x0, y0, x1, y1 in pixels of the video, clipped to it
    missing: np.ndarray  # bool (T,): no box in this frame, since wrist or elbow was not found or the box is empty
    jpegs: np.ndarray  # int (T, 4): offset and size in bytes in <id>.<hand>.mjpg, width and height in pixels
    depth_jpegs: np.ndarray | None = None  # the same for <id>.<hand>_depth.mjpg
    # bool (T,): a box, but no points on the fingers: it was guessed from wrist and elbow. None: not known
    guessed: np.ndarray | None = None


@dataclass(frozen=True)
class SampleInfo:
    """What `<id>.json` holds."""

    id: str
    signer: str
    label: int | None  # class; None for a clip without a label
    fps: float
    width: int  # of the video, or of the pictures in which the keypoints were found
    height: int
    frames: int  # T
    hands: dict[str, HandTrack] = field(repr=False)  # by `HANDS`; empty for a sample without video

    def to_json(self) -> bytes:
        """UTF-8 JSON; the same info always gives the same bytes. Without video it has no key `hands`."""
        value: dict[str, Any] = {key: getattr(self, key) for key in _TYPES}
        if self.hands:
            value["hands"] = {name: _track_json(hand) for name, hand in self.hands.items()}
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


# In the order of the JSON.
_TYPES = {"id": (str,), "signer": (str,), "label": (int, type(None)), "fps": (int, float)}
_TYPES |= dict.fromkeys(("width", "height", "frames"), (int,))


def _track_json(hand: HandTrack) -> dict[str, list]:
    value = {"boxes": hand.boxes.tolist(), "missing": hand.missing.astype(int).tolist()}
    if hand.guessed is not None:
        value["guessed"] = hand.guessed.astype(int).tolist()
    value["jpegs"] = hand.jpegs.tolist()
    return value if hand.depth_jpegs is None else value | {"depth_jpegs": hand.depth_jpegs.tolist()}


def info_from_json(data: bytes) -> SampleInfo:
    """The info of a `<id>.json` member; KeyError or ValueError where it is not one."""
    value: dict[str, Any] = orjson.loads(data)
    try:
        if wrong := [key for key, kinds in _TYPES.items() if type(value[key]) not in kinds]:
            raise ValueError(f"not the JSON of a sample: {wrong[0]} is {value[wrong[0]]!r}")
        least = {"fps": 0.001, "width": 1, "height": 1, "frames": 1} | ({} if value["label"] is None else {"label": 0})
        if wrong := [key for key, small in least.items() if not small <= value[key] <= _LARGEST]:
            raise ValueError(f"not the JSON of a sample: {wrong[0]} is {value[wrong[0]]!r}")
        hands = {name: _track(value["hands"][name]) for name in HANDS} if "hands" in value else {}
        return SampleInfo(**{**value, "hands": hands})
    except (TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"not the JSON of a sample: {error}") from error


def _track(hand: dict[str, Any]) -> HandTrack:
    depth = hand.get("depth_jpegs")
    return HandTrack(
        _table(hand["boxes"], np.int32),
        _flags(hand, "missing"),
        _table(hand["jpegs"], np.int64),
        None if depth is None else _table(depth, np.int64),
        _flags(hand, "guessed") if "guessed" in hand else None,
    )


def _flags(hand: dict[str, Any], name: str) -> np.ndarray:
    """bool (T,); ValueError or TypeError for anything but a list of 0 and 1."""
    values = [*hand[name]]
    if not {0, 1}.issuperset(values):
        raise ValueError(f"not the JSON of a sample: {name} is not a list of 0 and 1")
    return np.array(values, bool)


def _table(rows: list[list[int]], dtype: type) -> np.ndarray:
    """Whole numbers (T, 4); ValueError for anything else."""
    table = np.array(rows)
    if table.size:
        whole_numbers = table.dtype.kind == "i" and table.shape[1:] == (4,)
        if not whole_numbers or not np.array_equal(table, table.astype(dtype)):
            raise ValueError("not the JSON of a sample: boxes or jpegs are not rows of four whole numbers")
    return table.astype(dtype).reshape(-1, 4)


def hand_counts(hands: Mapping[str, HandTrack]) -> dict[str, int]:
    """The `HAND_COLUMNS` of a sample; {} where it has no hands, or does not say which were guessed."""
    counts: dict[str, int] = {}
    for hand, track in hands.items():
        if track.guessed is None:
            return {}
        counts |= dict(zip(HAND_COLUMNS[hand], (int(track.guessed.sum()), int(track.missing.sum())), strict=True))
    return counts


def npy_bytes(array: np.ndarray) -> bytes:
    """The array as a `.npy` file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def array_from_npy(data: bytes | memoryview) -> np.ndarray:
    """The array of a `.npy` member, on the same memory; ValueError for one that would need unpickling."""
    start = 10 + int.from_bytes(data[8:10], "little")
    shape, dtype = _npy_header(bytes(data[:start]))
    return np.frombuffer(data, dtype, math.prod(shape), start).reshape(shape)


def number_fault(array: np.ndarray) -> str | None:
    """Why the numbers of keypoints or pose flow cannot be ("has values that …"); None where they can."""
    largest = np.abs(array).max(initial=0)
    if largest <= LARGEST_NUMBER:  # NaN is not
        return None
    if not np.isfinite(largest):
        return "has values that are not finite"
    return f"has a value of {largest:.3g}; none may be beyond ±{LARGEST_NUMBER:.0f}"


@lru_cache(maxsize=1024)
def _npy_header(header: bytes) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype. numpy takes 0.1 ms for it, ten times as long as for the rest, and most headers come again."""
    file = io.BytesIO(header)
    if npy_format.read_magic(file) != (1, 0):
        raise ValueError("not a .npy file of version 1.0")
    try:
        shape, fortran, dtype = npy_format.read_array_header_1_0(file)
    except (SyntaxError, TypeError, RecursionError, MemoryError, tokenize.TokenError) as error:
        # numpy means to raise nothing but ValueError, but parses what stands there.
        raise ValueError(f"not the header of a .npy file ({error})") from error
    if fortran or dtype.hasobject:
        raise ValueError("not an array of numbers in C order")
    if not all(type(size) is int and 0 <= size < _LARGEST_NPY for size in shape) or math.prod(shape) >= _LARGEST_NPY:
        raise ValueError(f"not an array that a sample has: {shape}")
    return shape, dtype
