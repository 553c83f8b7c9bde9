"""Strips of pictures through a clip: the crops of both hands and the skeleton, read from shards by offset."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import simplejpeg

from shards.body135 import HANDS
from shards.errors import InputError
from shards.format.sample import LARGEST_SHORT_SIDE, MEMBERS, HandTrack, SampleInfo, array_from_npy, info_from_json
from shards.format.shardset import MemberReader, ShardSet
from shards.page.drawing import Drawing
from shards.page.render import data_uri
from shards.page.skeleton import skeleton, view_box

_TIPS = {
    "found": "",
    "guessed": ", guessed: wrist and elbow were found, the hand was not",
    "missing": ", missing: another frame's crop stands in",
}


@dataclass(frozen=True)
class StripCrop:
    """A crop in a strip."""

    uri: str  # the JPEG, as it is in the shard
    tip: str
    kind: str  # a key of `_TIPS`


@dataclass(frozen=True)
class SampleStrips:
    """What is shown of a sample."""

    info: SampleInfo
    frames: list[int]  # those that are shown, evenly through the clip
    hands: dict[str, list[StripCrop]]  # "left hand", "right depth", …: a picture per frame
    skeletons: list[Drawing]  # one per frame; [] where the sample has no keypoints, or none were asked for


class StripReader:
    """Reads the strips of a shard set's samples."""

    def __init__(self, shards: ShardSet, columns: int, hands_only: bool = False) -> None:
        """`columns` frames of a sample are shown (all of a shorter one); `hands_only`: no depth, and skeletons only
        where there are no hands."""
        self._shards = shards
        self._reader = MemberReader(shards)
        self._columns = columns
        self._hands_only = hands_only

    def read(self, sample: int) -> SampleStrips:
        """The strips of sample number `sample`.

        Raises:
            InputError: its members cannot be read.
        """
        with self._damage(sample):
            info = info_from_json(self._member(sample, "json"))
            number, frame_count = int(self._shards.labels[sample]), int(self._shards.frames[sample])
            label = None if number < 0 else number
            if (info.label, info.frames) != (label, frame_count):
                own = f"class {info.label} and {info.frames} frames"
                raise ValueError(f"its JSON has {own}, the index {label} and {frame_count}")
            frames = np.linspace(0, info.frames - 1, min(self._columns, info.frames)).round().astype(int).tolist()
            hands = {}
            for depth in ("",) if self._hands_only else ("", "_depth"):
                for hand in HANDS:
                    if self._shards.has(f"{hand}{depth}.mjpg")[sample]:
                        name = f"{hand} {'depth' if depth else 'hand'}"
                        member = self._member(sample, f"{hand}{depth}.mjpg")
                        hands[name] = [_picture(info.hands[hand], frame, member, bool(depth)) for frame in frames]
            shown = self._shards.has("pose.npy")[sample] and not (self._hands_only and hands)
            return SampleStrips(info, frames, hands, self._skeletons(sample, info, frames) if shown else [])

    def close(self) -> None:
        """Close the shards."""
        self._reader.close()

    def _member(self, sample: int, name: str) -> bytes:
        return self._reader.read(sample, MEMBERS.index(name))

    def _skeletons(self, sample: int, info: SampleInfo, frames: list[int]) -> list[Drawing]:
        pose = array_from_npy(self._member(sample, "pose.npy"))
        boxes_seen = [track.boxes[~track.missing] for track in info.hands.values()]
        view = view_box(pose, np.concatenate([*boxes_seen, np.zeros((0, 4))]))
        drawings = []
        for frame in frames:
            tracks = info.hands.items()
            boxes = {hand: None if track.missing[frame] else track.boxes[frame] for hand, track in tracks}
            drawings.append(skeleton(pose[frame], boxes, view))
        return drawings

    @contextmanager
    def _damage(self, sample: int) -> Iterator[None]:
        try:
            yield
        except (KeyError, ValueError, IndexError) as error:
            path, sample_id = self._shards.paths[self._shards.shard[sample]], self._shards.ids[sample]
            raise InputError(
                f"{path}: {sample_id} is damaged ({error}); `shards verify --full {path.parent}`"
            ) from error


def _picture(track: HandTrack, frame: int, member: bytes, depth: bool) -> StripCrop:
    """The crop of a frame; ValueError where there is no JPEG of the size that the table says."""
    table = track.depth_jpegs if depth else track.jpegs
    if table is None:
        raise ValueError("its JSON does not say where the depth crops are")
    offset, size, width, height = table[frame].tolist()
    jpeg = member[offset : offset + size]
    if simplejpeg.decode_jpeg_header(jpeg)[:2] != (height, width) or min(width, height) > LARGEST_SHORT_SIDE:
        raise ValueError(f"the crop of frame {frame} is not {width}×{height}, or too large")
    guessed = track.guessed is not None and track.guessed[frame]
    kind = "missing" if track.missing[frame] else "guessed" if guessed else "found"
    return StripCrop(data_uri(jpeg, "image/jpeg"), f"frame {frame}, {width}×{height}{_TIPS[kind]}", kind)
