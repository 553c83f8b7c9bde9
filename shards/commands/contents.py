"""What the members of a sample must hold: shapes, dtypes, finite values, JPEGs where the JSON says they are."""

from collections.abc import Iterator, Mapping

import numpy as np
import simplejpeg

from shards.body135 import HANDS, POINTS
from shards.format.sample import (
    DEPTH_MEMBERS,
    LARGEST_SHORT_SIDE,
    MEMBERS,
    HandTrack,
    SampleInfo,
    array_from_npy,
    info_from_json,
    number_fault,
)

_CROPS = tuple(name for name in MEMBERS if name.endswith(".mjpg"))


def content_faults(members: Mapping[str, bytes | memoryview], classes: int) -> Iterator[str]:
    """What is wrong with a sample, in a few words each; nothing for a good one.

    Args:
        members: content by member name; `pose.npy` and the two depth members may be left out, and all crops where the
            sample has no video.
        classes: how many the shard set has.
    """
    if absent := [name for name in ("json", "flow.npy") if name not in members]:
        yield f"has no {', '.join(absent)}"
        return
    try:
        info = info_from_json(bytes(members["json"]))
    except (KeyError, ValueError) as error:
        yield f"json cannot be read ({error})"
        return
    if info.label is not None and not 0 <= info.label < classes:
        yield f"json has class {info.label}, the shard set has {classes} classes"
    yield from _array_faults(members["flow.npy"], "flow.npy", (info.frames - 1, POINTS, 2))
    if "pose.npy" in members:
        yield from _array_faults(members["pose.npy"], "pose.npy", (info.frames, POINTS, 3))
    if info.hands:
        yield from _hand_faults(info, members)
    elif crops := [name for name in _CROPS if name in members]:
        yield f"has {', '.join(crops)}, but no hands in its json"


def _hand_faults(info: SampleInfo, members: Mapping[str, bytes | memoryview]) -> Iterator[str]:
    if absent := [f"{hand}.mjpg" for hand in HANDS if f"{hand}.mjpg" not in members]:
        yield f"has no {', '.join(absent)}"
        return
    if len({name in members for name in DEPTH_MEMBERS}) > 1:
        yield "has depth of one hand only"
    for hand, track in info.hands.items():
        yield from _track_faults(info, hand)
        yield from _jpeg_faults(members[f"{hand}.mjpg"], f"{hand}.mjpg", track.jpegs, _color_spaces(track))
        depth = f"{hand}_depth.mjpg"
        if (depth in members) != (track.depth_jpegs is not None):
            yield f"{depth} and depth_jpegs in the json: there is one without the other"
        elif track.depth_jpegs is not None:
            yield from _jpeg_faults(members[depth], depth, track.depth_jpegs, ("Gray",))


def _color_spaces(track: HandTrack) -> tuple[str, ...]:
    # A hand that no frame shows is one gray square.
    return ("Gray", "YCbCr") if track.missing.all() else ("YCbCr",)


def _array_faults(content: bytes | memoryview, name: str, shape: tuple[int, ...]) -> Iterator[str]:
    try:
        array = array_from_npy(content)
    except (ValueError, EOFError) as error:
        yield f"{name} cannot be read ({error})"
        return
    if array.dtype != np.float32 or array.shape != shape:
        yield f"{name} is {array.dtype} {array.shape}, not float32 {shape}"
    elif fault := number_fault(array):
        yield f"{name} {fault}"


def _track_faults(info: SampleInfo, hand: str) -> Iterator[str]:
    track = info.hands[hand]
    tables = {"boxes": track.boxes, "missing": track.missing, "guessed": track.guessed, "jpegs": track.jpegs}
    tables["depth_jpegs"] = track.depth_jpegs
    for name, table in tables.items():
        if table is not None and len(table) != info.frames:
            yield f"json has {len(table)} {name} of the {hand} hand for {info.frames} frames"
    if track.guessed is not None and len(track.guessed) == len(track.missing) and (track.guessed & track.missing).any():
        yield f"json has frames in which the {hand} hand is missing and guessed"
    if len(track.boxes) == len(track.missing):
        x0, y0, x1, y1 = track.boxes[~track.missing].T
        if ((x0 < 0) | (y0 < 0) | (x1 <= x0) | (y1 <= y0) | (x1 > info.width) | (y1 > info.height)).any():
            yield f"json has a box of the {hand} hand that is empty or not inside {info.width}×{info.height}"


def _jpeg_faults(content: bytes | memoryview, name: str, table: np.ndarray, spaces: tuple[str, ...]) -> Iterator[str]:
    """Several frames may share a JPEG; together the JPEGs fill the member."""
    jpegs = np.unique(table, axis=0)
    starts, ends = jpegs[:, 0], jpegs[:, 0] + jpegs[:, 1]
    if [0, *ends.tolist()] != [*starts.tolist(), len(content)]:
        yield f"{name}: offsets and sizes of the JPEGs do not fill its {len(content)} bytes"
        return
    for offset, size, width, height in jpegs.tolist():
        data = memoryview(content)[offset : offset + size]
        if problem := _jpeg_problem(data, width, height, spaces):
            yield f"{name}: the JPEG at byte {offset} {problem}"


def _jpeg_problem(data: memoryview, width: int, height: int, spaces: tuple[str, ...]) -> str | None:
    if bytes(data[:2]) != b"\xff\xd8" or bytes(data[-2:]) != b"\xff\xd9":
        return "does not begin and end as a JPEG does"
    try:
        found_height, found_width, space, _ = simplejpeg.decode_jpeg_header(data)
        if (found_width, found_height) != (width, height):
            return f"is {found_width}×{found_height}, in the json {width}×{height}"
        if min(width, height) > LARGEST_SHORT_SIDE:
            return f"is {width}×{height}, larger than any crop"
        simplejpeg.decode_jpeg(data, "GRAY" if space == "Gray" else "RGB")
    except ValueError as error:
        return f"is damaged ({error})"
    return None if space in spaces else f"is {space}, not {' or '.join(spaces)}"
