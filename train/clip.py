"""Reading what the model needs of one sample: the sampled frames' crops, each JPEG once, and the pose flow."""

from typing import Any, NamedTuple

import numpy as np
import orjson
import simplejpeg

from shards.errors import InputError
from shards.recipe import Recipe
from shards.sample import HANDS, MEMBERS, POINTS, SampleInfo, array_from_npy, info_from_json
from shards.shardset import MemberReader, ShardSet
from train.hands import COLOR_AS_GREY, DEPTH, Pick, pick_crops
from train.views import View
from train.window import Window, window_frames

_JSON, _FLOW = MEMBERS.index("json"), MEMBERS.index("flow.npy")


class Crops(NamedTuple):
    """The crops of a sample for one clip of the model's input: M JPEGs stand at N = 2·L places (frame by frame, hand by
    hand)."""

    jpegs: list[memoryview]
    sizes: np.ndarray  # int (M, 2): the width and height that each decodes to
    as_grey: list[bool]  # M: a colour JPEG that is to lose its colour
    place: np.ndarray  # int (N,): which JPEG


class Clip(NamedTuple):
    """What one sample brings to a batch, still to be decoded."""

    id: str
    color: Crops
    depth: Crops | None
    flow: np.ndarray  # float32 (T-1, 135, 2)
    frames: np.ndarray  # int (L,): the sampled ones


def read_clip(
    shards: ShardSet, reader: MemberReader, sample: int, window: Window, view: View, recipe: Recipe, with_depth: bool
) -> Clip:
    """Read one sample under a view; its bytes stay in place until `reader.forget`.

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
            _read_crops(reader, sample, hands, color, swap),
            depth and _read_crops(reader, sample, hands, depth, swap),
            flow,
            frames,
        )
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise damaged(shards, sample, error) from error


def swaps_hands(view: View, recipe: Recipe) -> bool:
    """Whether a view makes the left hand the right one; the reference mirrored only the pixels."""
    return view.mirrored and not recipe.flip_pixels_only


def _read_crops(reader: MemberReader, sample: int, hands: dict[str, Any], pick: Pick, swap: bool) -> Crops:
    """The JPEGs that a pick names, each once, and which of them stands where."""
    jpegs: list[memoryview] = []
    rows: list[list[int]] = []
    as_grey: list[bool] = []
    place = np.empty(pick.frame.shape, np.int64)  # (L, 2)
    for hand, name in enumerate(HANDS):
        frames, kinds = pick.frame[:, hand].tolist(), pick.kind[:, hand].tolist()
        for kind in set(kinds):
            positions = [position for position, other in enumerate(kinds) if other == kind]
            table = hands[name]["depth_jpegs" if kind == DEPTH else "jpegs"]
            wanted = [table[frames[position]] for position in positions]
            once = {row[0]: row for row in wanted}
            member = MEMBERS.index(f"{name}_depth.mjpg" if kind == DEPTH else f"{name}.mjpg")
            number = dict(zip(once, range(len(jpegs), len(jpegs) + len(once)), strict=True))
            # One read from the first to the last JPEG of the window. One for each takes as long where the shard is in
            # memory, and 1.3 instead of 0.3 to 0.5 ms where it is not.
            start, end = min(once), max(row[0] + row[1] for row in once.values())
            data = reader.span(sample, member, start, end - start)
            jpegs += [data[offset - start : offset - start + size] for offset, size, _, _ in once.values()]
            rows += once.values()
            as_grey += [kind == COLOR_AS_GREY] * len(once)
            place[positions, hand] = [number[row[0]] for row in wanted]
    return Crops(jpegs, np.array(rows, np.int64)[:, 2:], as_grey, (place[:, ::-1] if swap else place).reshape(-1))


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
