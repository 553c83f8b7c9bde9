"""Reading what the model needs of one sample: the sampled frames' crops, each JPEG once, and the pose flow."""

from typing import Any, NamedTuple

import numpy as np
import orjson
import simplejpeg

from shards.body135 import HANDS, POINTS
from shards.errors import InputError
from shards.format.recipe import Recipe
from shards.format.sample import MEMBERS, SampleInfo, array_from_npy, info_from_json
from shards.format.shardset import MemberReader, ShardSet
from train.data.imputation import COLOR_AS_GREY, DEPTH, Pick, pick_crops
from train.data.views import View
from train.data.window import Window, window_frames

_JSON, _FLOW = MEMBERS.index("json"), MEMBERS.index("flow.npy")


class Stretch(NamedTuple):
    """JPEGs of one member, read in one go from the first to the last. A read for each takes as long where the shard is
    in memory, and 1.3 instead of 0.3 to 0.5 ms where it is not."""

    member: int  # in MEMBERS
    start: int  # in the member
    size: int  # in bytes
    jpegs: list[list[int]]  # of each: offset and size in bytes, width and height in pixels
    as_grey: bool  # colour JPEGs that are to lose their colour


class Crops(NamedTuple):
    """The crops of a sample for one clip of the model's input: the M JPEGs of its stretches stand at N = 2·L places
    (frame by frame, hand by hand)."""

    stretches: list[Stretch]
    sizes: np.ndarray  # int (M, 2): the width and height that each decodes to
    place: list[int]  # N: which JPEG


class Clip(NamedTuple):
    """What one sample brings to a batch; its JPEGs are still to be read."""

    id: str
    color: Crops
    depth: Crops | None
    flow: np.ndarray  # float32 (T-1, 135, 2), in place until `reader.forget`
    frames: np.ndarray  # int (L,): the sampled ones


def read_clip(
    shards: ShardSet, reader: MemberReader, sample: int, window: Window, view: View, recipe: Recipe, with_depth: bool
) -> Clip:
    """Read one sample under a view, all but its JPEGs.

    Raises:
        InputError: its members are not what the index and the JSON say.
    """
    try:
        # Not `info_from_json`: its arrays of all frames, of which we need 16, would take as long as the parser.
        info = orjson.loads(reader.span(sample, _JSON))
        sample_id = shards.ids[sample].as_py()
        if info["id"] != sample_id:
            raise ValueError(f"its JSON is about {info['id']}")
        hands, count = info["hands"], info["frames"]
        flow = array_from_npy(reader.span(sample, _FLOW))
        if flow.shape != (count - 1, POINTS, 2) or flow.dtype != np.float32:
            raise ValueError(f"its pose flow is {flow.dtype} {flow.shape}")
        frames = window_frames(count, window, recipe, view.start)
        color, depth = pick_crops(frames, {hand: hands[hand]["missing"] for hand in HANDS}, recipe, with_depth)
        swap = swaps_hands(view, recipe)
        return Clip(
            sample_id,
            _crops(info, shards.sizes[sample], color, swap),
            depth and _crops(info, shards.sizes[sample], depth, swap),
            flow,
            frames,
        )
    except (ValueError, KeyError, TypeError, IndexError, OverflowError) as error:
        raise damaged(shards, sample, error) from error


def swaps_hands(view: View, recipe: Recipe) -> bool:
    """Whether a view makes the left hand the right one; the reference mirrored only the pixels."""
    return view.mirrored and not recipe.flip_pixels_only


def _crops(info: dict[str, Any], members: np.ndarray, pick: Pick, swap: bool) -> Crops:
    """The JPEGs that a pick names, each once, and which of them stands where; `members`: their sizes in bytes.

    Raises:
        ValueError: a JPEG is said to lie outside its member, or to be larger than the video that it was cut from. Such
            numbers would be used for reading and for getting memory before a decoder sees them.
    """
    stretches: list[Stretch] = []
    places: list[list[int]] = []
    count = 0
    for hand, name in enumerate(HANDS):
        frames, kinds = pick.frame[:, hand].tolist(), pick.kind[:, hand].tolist()
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
            stretches.append(Stretch(member, start, end - start, list(once.values()), kind == COLOR_AS_GREY))
        places.append([number[kind, row[0]] for row, kind in zip(rows, kinds, strict=True)])
    sizes = [(width, height) for stretch in stretches for _, _, width, height in stretch.jpegs]
    most_width, most_height = info["width"], info["height"]
    if not all(0 < width <= most_width and 0 < height <= most_height for width, height in sizes):
        raise ValueError("a crop is larger than the video, or empty")
    left, right = reversed(places) if swap else places
    place = [place for pair in zip(left, right, strict=True) for place in pair]
    return Crops(stretches, np.array(sizes, np.int64), place)


def read_jpegs(reader: MemberReader, sample: int, stretch: Stretch) -> list[memoryview]:
    """The JPEGs of a stretch, in place until `reader.forget`.

    Raises:
        TypeError: the sample's JSON does not say where they are.
        InputError: the shard ends before them.
    """
    data, start = reader.span(sample, stretch.member, stretch.start, stretch.size), stretch.start
    return [data[offset - start : offset - start + size] for offset, size, _, _ in stretch.jpegs]


def decode_into(
    jpeg: memoryview, width: int, height: int, channels: int, buffer: np.ndarray, as_grey: bool = False
) -> None:
    """Decode a JPEG into uint8 memory of exactly its size, with 3 channels or 1; `as_grey`: with 3 equal ones.

    Raises:
        ValueError: it is damaged, or of another size.
    """
    if as_grey:
        decoded = simplejpeg.decode_jpeg(jpeg, "GRAY")
    else:
        decoded = simplejpeg.decode_jpeg(jpeg, "RGB" if channels == 3 else "GRAY", buffer=buffer)
    if decoded.shape[:2] != (height, width):
        raise ValueError(f"a JPEG is {decoded.shape[1]}×{decoded.shape[0]}, not {width}×{height}")
    if as_grey:
        buffer.reshape(height, width, channels)[:] = decoded


def read_info(shards: ShardSet, reader: MemberReader, sample: int) -> SampleInfo:
    """The JSON of a sample, all of it, for who needs more than a window.

    Raises:
        InputError: it is not that of a sample.
    """
    try:
        return info_from_json(reader.read(sample, _JSON))
    except (ValueError, KeyError) as error:
        raise damaged(shards, sample, error) from error


def damaged(shards: ShardSet, sample: int, error: Exception) -> InputError:
    """The error for a sample whose bytes are wrong."""
    path = shards.paths[shards.shard[sample]]
    return InputError(f"{path}: sample {shards.ids[sample]} is damaged ({error}); `shards verify --full {path.parent}`")
