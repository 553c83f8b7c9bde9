"""The sample: its members, their names and their JSON.

A sample is a handful of tar members that share the basename before the first dot:

    <id>.json               this module's `SampleInfo`
    <id>.left.mjpg          colour crops of the left hand: baseline JPEGs, one after another
    <id>.right.mjpg
    <id>.left_depth.mjpg    grey JPEGs of the same boxes; only where the clip has depth
    <id>.right_depth.mjpg
    <id>.flow.npy           pose flow, float32 (T-1, 135, 2): angle in radians, magnitude in neck lengths
    <id>.pose.npy           keypoints, float32 (T, 135, 3): x, y in pixels, score; missing = 0
"""

import io
import json
import math
import re
import tarfile
import tokenize
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.lib import format as npy_format

HANDS = ("left", "right")
# In the order in which they stand in a tar.
MEMBERS = ("json", "left.mjpg", "right.mjpg", "left_depth.mjpg", "right_depth.mjpg", "flow.npy", "pose.npy")
DEPTH_MEMBERS = ("left_depth.mjpg", "right_depth.mjpg")
POINTS = 135  # keypoints of OpenPose's BODY_135
BLOCK = 512
RECORD = 20 * BLOCK
_NAME_IN_HEADER = 100  # bytes of a name that a tar header has room for
# "/" would leave the folder, "." would end the WebDataset key, control characters break every listing.
_FORBIDDEN_IN_ID = re.compile(r"[./\\\x00-\x1f\x7f]")


@dataclass(frozen=True)
class HandTrack:
    """One hand through a clip of T frames."""

    boxes: np.ndarray  # int (T, 4): x0, y0, x1, y1 in pixels of the video, clipped to it
    missing: np.ndarray  # bool (T,): no hand was found in this frame
    jpegs: np.ndarray  # int (T, 4): offset and size in bytes in <id>.<hand>.mjpg, width and height in pixels
    depth_jpegs: np.ndarray | None = None  # the same for <id>.<hand>_depth.mjpg


@dataclass(frozen=True)
class SampleInfo:
    """What `<id>.json` holds."""

    id: str
    signer: str
    label: int | None  # class; None for a clip without a label
    fps: float
    width: int  # of the video
    height: int
    frames: int  # T
    hands: dict[str, HandTrack] = field(repr=False)

    def to_json(self) -> bytes:
        """UTF-8 JSON; the same info always gives the same bytes."""
        hands = {}
        for name, hand in self.hands.items():
            hands[name] = {"boxes": hand.boxes.tolist(), "missing": hand.missing.astype(int).tolist()}
            hands[name]["jpegs"] = hand.jpegs.tolist()
            if hand.depth_jpegs is not None:
                hands[name]["depth_jpegs"] = hand.depth_jpegs.tolist()
        value = {key: getattr(self, key) for key in ("id", "signer", "label", "fps", "width", "height", "frames")}
        return json.dumps(value | {"hands": hands}, separators=(",", ":"), ensure_ascii=False).encode()


_TYPES = {"id": (str,), "signer": (str,), "label": (int, type(None)), "fps": (int, float)}
_TYPES |= dict.fromkeys(("width", "height", "frames"), (int,))


def info_from_json(data: bytes) -> SampleInfo:
    """The info of a `<id>.json` member; KeyError or ValueError where it is not one."""
    value: dict[str, Any] = orjson.loads(data)
    try:
        if wrong := [key for key, kinds in _TYPES.items() if type(value[key]) not in kinds]:
            raise ValueError(f"not the JSON of a sample: {wrong[0]} is {value[wrong[0]]!r}")
        hands = {name: _track(value["hands"][name]) for name in HANDS}
        return SampleInfo(**{**value, "hands": hands})
    except (TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"not the JSON of a sample: {error}") from error


def _track(hand: dict[str, Any]) -> HandTrack:
    depth = hand.get("depth_jpegs")
    missing = [*hand["missing"]]
    if not {0, 1}.issuperset(missing):
        raise ValueError("not the JSON of a sample: missing is not a list of 0 and 1")
    return HandTrack(
        _table(hand["boxes"], np.int32),
        np.array(missing, bool),
        _table(hand["jpegs"], np.int64),
        None if depth is None else _table(depth, np.int64),
    )


def _table(rows: list[list[int]], dtype: type) -> np.ndarray:
    """Whole numbers (T, 4); ValueError for anything else."""
    table = np.array(rows)
    if table.size:
        whole_numbers = table.dtype.kind == "i" and table.shape[1:] == (4,)
        if not whole_numbers or not np.array_equal(table, table.astype(dtype)):
            raise ValueError("not the JSON of a sample: boxes or jpegs are not rows of four whole numbers")
    return table.astype(dtype).reshape(-1, 4)


def id_problem(sample_id: str) -> str | None:
    """Why a string cannot be a sample's id, or None when it can."""
    if not is_utf8(sample_id):
        return "an id must be UTF-8"
    if not sample_id or len(sample_id.encode()) > 180:
        return "an id has 1 to 180 bytes"
    if found := _FORBIDDEN_IN_ID.search(sample_id):
        return f"an id cannot contain {found.group()!r}"
    return None


def is_utf8(name: str) -> bool:
    """False for a name of a file or an argument that Python can only hold with surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


class Packed(NamedTuple):
    """A tar of one sample, and where its members are."""

    data: bytes
    places: dict[str, tuple[int, int]]  # member: offset and size of its content
    extent: int  # bytes without the end-of-archive blocks: what goes into a shard


def pack(sample_id: str, members: dict[str, bytes]) -> Packed:
    """A tar of one sample, in the order of `MEMBERS`, with nothing in it that depends on time, user or machine."""
    layout = lay_out(sample_id, {name: len(content) for name, content in members.items()})
    data = b"".join(tar_member(sample_id, name, members[name]) for name in layout.places)
    return Packed(data + end_of_archive(layout.extent), layout.places, layout.extent)


class Layout(NamedTuple):
    """Where the members of a sample are, from the start of its first header."""

    places: dict[str, tuple[int, int]]  # member: offset and size of its content
    extent: int  # bytes of all members, headers and padding included


def lay_out(sample_id: str, sizes: dict[str, int]) -> Layout:
    """The layout of a sample whose members have these sizes in bytes."""
    places, position = {}, 0
    for name in MEMBERS:
        if name in sizes:
            position += header_size(sample_id, name)
            places[name] = (position, sizes[name])
            position += padded(sizes[name])
    return Layout(places, position)


def tar_member(sample_id: str, name: str, content: bytes) -> bytes:
    """A member as it stands in a tar: header, content, padding."""
    return tar_header(sample_id, name, len(content)) + content + bytes(-len(content) % BLOCK)


def tar_header(sample_id: str, name: str, size: int) -> bytes:
    """The header of a member: of `header_size` bytes, the same everywhere (mtime, owner and group are 0)."""
    header = tarfile.TarInfo(f"{sample_id}.{name}")
    header.size = size
    return header.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict")


def header_size(sample_id: str, name: str) -> int:
    """Bytes before a member's content: one block, and two more (GNU `././@LongLink`) for a name of over 100 bytes."""
    return BLOCK if len(f"{sample_id}.{name}".encode()) <= _NAME_IN_HEADER else 3 * BLOCK


def padded(size: int) -> int:
    """Bytes that a content of `size` bytes takes in a tar."""
    return size + -size % BLOCK


def end_of_archive(extent: int) -> bytes:
    """What follows `extent` bytes of members: two zero blocks, filled up to a record as GNU tar and tarfile do."""
    return bytes(-(extent + 2 * BLOCK) % RECORD + 2 * BLOCK)


def split_member_name(name: str) -> tuple[str, str]:
    """(`signer0_sample1`, `left.mjpg`) of `signer0_sample1.left.mjpg`."""
    key, _, member = name.partition(".")
    return key, member


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


@lru_cache(maxsize=1024)
def _npy_header(header: bytes) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype. numpy takes 0.1 ms for it, ten times as long as for the rest, and most headers come again."""
    file = io.BytesIO(header)
    if npy_format.read_magic(file) != (1, 0):
        raise ValueError("not a .npy file of version 1.0")
    try:
        shape, fortran, dtype = npy_format.read_array_header_1_0(file)
    except (SyntaxError, TypeError, tokenize.TokenError) as error:
        # numpy means to raise nothing but ValueError, but parses what stands there.
        raise ValueError(f"not the header of a .npy file ({error})") from error
    if fortran or dtype.hasobject:
        raise ValueError("not an array of numbers in C order")
    return shape, dtype
