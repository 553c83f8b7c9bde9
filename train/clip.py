"""Reading what the model needs of one sample: the sampled frames' crops, their boxes, and the pose features.

Only the JPEGs that the window asks for are decoded, each once.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import orjson
import simplejpeg

from shards.errors import InputError
from shards.recipe import Recipe
from shards.sample import HANDS, MEMBERS, SampleInfo, array_from_npy, info_from_json
from shards.shardset import MemberReader, ShardSet
from train.features import pose_features
from train.hands import COLOR_AS_GREY, DEPTH, Pick, pick_crops
from train.views import View, seen_boxes
from train.window import Window, window_frames

_JSON, _FLOW = MEMBERS.index("json"), MEMBERS.index("flow.npy")


class Jpeg(NamedTuple):
    """One JPEG and the size it decodes to. (A frozen dataclass takes 1 µs to make, of 29 a sample.)"""

    data: memoryview
    width: int
    height: int
    as_grey: bool = False  # a colour JPEG that is to lose its colour


@dataclass(frozen=True)
class Crops:
    """The crops of a sample for one clip of the model's input: M JPEGs stand at N = 2·L places (frame by frame, hand by
    hand)."""

    jpegs: list[Jpeg]
    place: np.ndarray  # int (N,): which JPEG
    boxes: np.ndarray  # float32 (N, 4): what is seen of it, x0, y0, x1, y1 in its pixels


@dataclass(frozen=True)
class Clip:
    """One sample, ready to be decoded into a batch."""

    color: Crops
    depth: Crops | None
    pose: np.ndarray  # float32 (L, 106)


def read_clip(
    shards: ShardSet, reader: MemberReader, sample: int, window: Window, view: View, recipe: Recipe, with_depth: bool
) -> Clip:
    """Read one sample under a view.

    Raises:
        InputError: its members are not what the index and the JSON say.
    """
    try:
        # Not `info_from_json`: its arrays of all frames, of which we need 16, would take as long as the parser.
        info = orjson.loads(reader.read(sample, _JSON))
        if info["id"] != shards.ids[sample].as_py():
            raise ValueError(f"its JSON is about {info['id']}")
        hands = info["hands"]
        flow = array_from_npy(reader.span(sample, _FLOW))
        frames = window_frames(info["frames"], window, recipe, view.start)
        missing = {hand: np.array(hands[hand]["missing"], bool) for hand in HANDS}
        color, depth = pick_crops(frames, missing, recipe, with_depth)
        swap = view.mirrored and not recipe.flip_pixels_only
        return Clip(
            _crops(reader, sample, hands, color, view, recipe),
            depth and _crops(reader, sample, hands, depth, view, recipe, padded=True),
            pose_features(flow, frames, recipe, mirrored=swap),
        )
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise damaged(shards, sample, error) from error


def _crops(
    reader: MemberReader,
    sample: int,
    hands: dict[str, Any],
    pick: Pick,
    view: View,
    recipe: Recipe,
    padded: bool = False,
) -> Crops:
    """The crops that a pick names, as a view shows them; a mirror makes the left hand the right one."""
    jpegs, place = _read_jpegs(reader, sample, hands, pick)
    if view.mirrored and not recipe.flip_pixels_only:
        place = place[:, ::-1]
    place = place.reshape(-1)
    sizes = np.array([(jpeg.width, jpeg.height) for jpeg in jpegs])
    return Crops(jpegs, place, seen_boxes(sizes, view, recipe, padded)[place])


def _read_jpegs(reader: MemberReader, sample: int, hands: dict[str, Any], pick: Pick) -> tuple[list[Jpeg], np.ndarray]:
    """The JPEGs that a pick names, each once, and which of them stands where, int (L, 2)."""
    jpegs: list[Jpeg] = []
    place = np.empty(pick.frame.shape, np.int64)
    for hand, name in enumerate(HANDS):
        kinds = pick.kind[:, hand]
        for kind in set(kinds.tolist()):
            wanted = np.flatnonzero(kinds == kind)
            table = hands[name]["depth_jpegs" if kind == DEPTH else "jpegs"]
            rows = [table[frame] for frame in pick.frame[wanted, hand].tolist()]
            # One read from the first to the last JPEG of the window: what lies between costs less than more reads.
            start, end = min(row[0] for row in rows), max(row[0] + row[1] for row in rows)
            member = MEMBERS.index(f"{name}_depth.mjpg" if kind == DEPTH else f"{name}.mjpg")
            data = reader.span(sample, member, start, end - start)
            known: dict[int, int] = {}
            for position, (offset, size, width, height) in zip(wanted.tolist(), rows, strict=True):
                if offset not in known:
                    known[offset] = len(jpegs)
                    jpeg = data[offset - start : offset - start + size]
                    jpegs.append(Jpeg(jpeg, width, height, kind == COLOR_AS_GREY))
                place[position, hand] = known[offset]
    return jpegs, place


def decode_into(jpeg: Jpeg, channels: int, buffer: np.ndarray) -> None:
    """Decode a JPEG into uint8 memory of exactly its size, with 3 channels or 1.

    Raises:
        ValueError: it is damaged, or of another size.
    """
    if jpeg.as_grey and channels == 3:
        decoded = simplejpeg.decode_jpeg(jpeg.data, "GRAY")
        buffer.reshape(-1, 3)[:] = decoded.reshape(-1, 1)
    else:
        decoded = simplejpeg.decode_jpeg(jpeg.data, "RGB" if channels == 3 else "GRAY", buffer=buffer)
    if decoded.shape[:2] != (jpeg.height, jpeg.width):
        raise ValueError(f"a JPEG is {decoded.shape[1]}×{decoded.shape[0]}, not {jpeg.width}×{jpeg.height}")


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
