"""Reading what the model needs of one sample: the sampled frames' crops, each JPEG once, and the pose flow."""

from typing import Any, NamedTuple

import numpy as np
import orjson
import simplejpeg

from shards.body135 import HANDS, POINTS
from shards.format.recipe import Recipe
from shards.format.sample import LARGEST_SHORT_SIDE, MEMBERS, array_from_npy, number_fault
from shards.format.shardset import MemberReader, ShardSet
from train.crops.imputation import COLOR_AS_GRAY, DEPTH, CropChoice, HandFlags, choose_crops
from train.data.sample_info import damaged
from train.data.views import View
from train.data.window import Window, window_frames

_JSON, _FLOW = MEMBERS.index("json"), MEMBERS.index("flow.npy")


class ByteRange(NamedTuple):
    """JPEGs of one member, read in one go from the first to the last. A read for each takes as long where the shard is
    in memory, and 1.3 instead of 0.3 to 0.5 ms where it is not."""

    member: int  # in MEMBERS
    start: int  # in the member
    size: int  # in bytes
    jpegs: list[list[int]]  # of each: offset and size in bytes, width and height in pixels
    as_gray: bool  # color JPEGs that are to lose their color


class Crops(NamedTuple):
    """The crops of a sample for one clip of the model's input: the M JPEGs of its byte ranges stand at N = 2·L
    positions (frame by frame, hand by hand)."""

    ranges: list[ByteRange]
    sizes: np.ndarray  # int (M, 2): the width and height that each decodes to
    positions: list[int]  # N: which JPEG


class CropSample(NamedTuple):
    """What one sample brings to a batch; its JPEGs are still to be read."""

    id: str
    color: Crops
    depth: Crops | None
    flow: np.ndarray  # float32 (T-1, 135, 2), in the reader's memory until it reads JPEGs
    frames: np.ndarray  # int (L,): the sampled ones


class SampleReader:
    """Reads the windows of samples. One per process."""

    def __init__(self, shards: ShardSet, window: Window, recipe: Recipe, with_depth: bool) -> None:
        self._shards, self._window, self._recipe, self._with_depth = shards, window, recipe, with_depth
        self.members = MemberReader(shards)

    def read(self, sample: int, view: View) -> CropSample:
        """Read one sample under a view, all but its JPEGs.

        Raises:
            InputError: its members are not what the index and the JSON say.
        """
        shards = self._shards
        try:
            # Not `info_from_json`: its arrays of all frames, of which we need 16, would take as long as the parser.
            info = orjson.loads(self.members.span(sample, _JSON))
            sample_id = shards.ids[sample].as_py()
            if info["id"] != sample_id:
                raise ValueError(f"its JSON is about {info['id']}")
            hands, count = info["hands"], info["frames"]
            flow = array_from_npy(self.members.span(sample, _FLOW))
            if flow.shape != (count - 1, POINTS, 2) or flow.dtype != np.float32:
                raise ValueError(f"its pose flow is {flow.dtype} {flow.shape}")
            if fault := number_fault(flow):
                raise ValueError(f"its pose flow {fault}")
            frames = window_frames(count, self._window, self._recipe, view.start)
            flags = {hand: HandFlags(hands[hand]["missing"], hands[hand].get("guessed")) for hand in HANDS}
            color, depth = choose_crops(frames, flags, self._recipe, self._with_depth)
            sizes, swap = shards.sizes[sample], swaps_hands(view, self._recipe)
            depth_crops = depth and _crops(info, sizes, depth, swap)
            return CropSample(sample_id, _crops(info, sizes, color, swap), depth_crops, flow, frames)
        except (ValueError, KeyError, TypeError, IndexError, OverflowError) as error:
            raise damaged(shards, sample, error) from error

    def jpegs(self, sample: int, byte_range: ByteRange) -> list[memoryview]:
        """The JPEGs of a byte range, in the reader's memory until it reads the next.

        Raises:
            TypeError: the sample's JSON does not say where they are.
            InputError: the shard ends before them.
        """
        self.members.forget()
        start = byte_range.start
        data = self.members.span(sample, byte_range.member, start, byte_range.size)
        return [data[offset - start : offset - start + size] for offset, size, _, _ in byte_range.jpegs]


def swaps_hands(view: View, recipe: Recipe) -> bool:
    """Whether a view makes the left hand the right one; the reference mirrored only the pixels."""
    return view.mirrored and not recipe.flip_pixels_only


def _crops(info: dict[str, Any], members: np.ndarray, choice: CropChoice, swap: bool) -> Crops:
    """The JPEGs of the chosen crops, each once, and which of them stands where; `members`: their sizes in bytes.

    Raises:
        ValueError: a JPEG is said to lie outside its member, or to be larger than the video that it was cut from. Such
            numbers would be used for reading and for getting memory before a decoder sees them.
    """
    ranges: list[ByteRange] = []
    positions: list[list[int]] = []
    count = 0
    for hand, name in enumerate(HANDS):
        frames, kinds = choice.frame[:, hand].tolist(), choice.kind[:, hand].tolist()
        hand_info = info["hands"][name]
        color, depth = hand_info["jpegs"], hand_info.get("depth_jpegs")
        rows = [(depth if kind == DEPTH else color)[frame] for frame, kind in zip(frames, kinds, strict=True)]
        number: dict[tuple[int, int], int] = {}  # by kind and offset: frames without a hand share another one's JPEG
        for kind in set(kinds):
            once = {row[0]: row for row, other in zip(rows, kinds, strict=True) if other == kind}
            number |= {(kind, offset): place for place, offset in enumerate(once, count)}
            count += len(once)
            member = MEMBERS.index(f"{name}_depth.mjpg" if kind == DEPTH else f"{name}.mjpg")
            start = min(offset for offset, _, _, _ in once.values())
            end = max(offset + size for offset, size, _, _ in once.values())
            if not 0 <= start < end <= members[member]:
                raise ValueError(f"{MEMBERS[member]} has no bytes {start} to {end}")
            ranges.append(ByteRange(member, start, end - start, list(once.values()), kind == COLOR_AS_GRAY))
        positions.append([number[kind, row[0]] for row, kind in zip(rows, kinds, strict=True)])
    sizes = [(width, height) for byte_range in ranges for _, _, width, height in byte_range.jpegs]
    most_width, most_height = info["width"], info["height"]
    if not all(0 < width <= most_width and 0 < height <= most_height for width, height in sizes):
        raise ValueError("a crop is larger than the video, or empty")
    if any(min(size) > LARGEST_SHORT_SIDE for size in sizes):
        raise ValueError(f"a crop has no side of up to {LARGEST_SHORT_SIDE} pixels")
    left, right = reversed(positions) if swap else positions
    both = [jpeg for pair in zip(left, right, strict=True) for jpeg in pair]
    return Crops(ranges, np.array(sizes, np.int64), both)


def decode_into(
    jpeg: bytes | memoryview, width: int, height: int, channels: int, buffer: np.ndarray, as_gray: bool = False
) -> None:
    """Decode a JPEG into uint8 memory of exactly its size, with 3 channels or 1; `as_gray`: with 3 equal ones.

    Raises:
        ValueError: it is damaged, or of another size.
    """
    if as_gray:
        if simplejpeg.decode_jpeg_header(jpeg)[:2] != (height, width):
            raise ValueError(f"a JPEG is not {width}×{height}")
        decoded = simplejpeg.decode_jpeg(jpeg, "GRAY")
    else:
        decoded = simplejpeg.decode_jpeg(jpeg, "RGB" if channels == 3 else "GRAY", buffer=buffer)
    if decoded.shape[:2] != (height, width):
        raise ValueError(f"a JPEG is {decoded.shape[1]}×{decoded.shape[0]}, not {width}×{height}")
    if as_gray:
        buffer.reshape(height, width, channels)[:] = decoded
