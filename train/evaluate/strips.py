"""Pictures of samples for a report: both hands through a clip, from the crops in the shards."""

import numpy as np
import simplejpeg
from PIL import Image

from shards.body135 import HANDS
from shards.format.sample import MEMBERS, HandTrack
from shards.format.shardset import MemberReader, open_shards
from train.data.clip import damaged, read_info

FRAMES = 8
SIDE = 80  # pixels of a crop in the strip
GAP = 2
# How much of a crop's light is left where the hand was not found and the crop is a stand-in.
DIMMED = 0.35


class HandStrips:
    """The samples of some shards by id."""

    def __init__(self, pattern: str) -> None:
        """Open the shards that `pattern` names; InputError as `open_shards`."""
        self._shards = open_shards(pattern)
        self._reader = MemberReader(self._shards)
        self._place = {sample_id: number for number, sample_id in enumerate(self._shards.ids.to_pylist())}

    def signers(self) -> dict[str, str]:
        """The signer of every sample, as the index has it."""
        return dict(zip(self._place, self._shards.signers.to_pylist(), strict=True))

    def draw(self, sample_id: str) -> bytes | None:
        """A JPEG: FRAMES frames, evenly through the clip, left hand above right hand; None for an unknown sample.

        Raises:
            InputError: the sample is damaged.
        """
        if sample_id not in self._place:
            return None
        sample = self._place[sample_id]
        info = read_info(self._shards, self._reader, sample)
        try:
            frames = np.linspace(0, info.frames - 1, min(FRAMES, info.frames)).round().astype(int)
            rows = [self._row(sample, hand, info.hands[hand], frames) for hand in HANDS]
        except (ValueError, KeyError, IndexError) as error:
            raise damaged(self._shards, sample, error) from error
        gap = np.full((GAP, rows[0].shape[1], 3), 255, np.uint8)
        return simplejpeg.encode_jpeg(np.concatenate([rows[0], gap, rows[1]]), 85)

    def close(self) -> None:
        """Close the shards."""
        self._reader.close()

    def _row(self, sample: int, name: str, hand: HandTrack, frames: np.ndarray) -> np.ndarray:
        """uint8 (SIDE, W, 3): one hand's crops side by side."""
        row = np.full((SIDE, len(frames) * (SIDE + GAP) - GAP, 3), 255, np.uint8)
        for number, frame in enumerate(frames.tolist()):
            offset, size = hand.jpegs[frame, :2].tolist()
            data = self._reader.read(sample, MEMBERS.index(f"{name}.mjpg"), offset, size)
            crop = _fitted(simplejpeg.decode_jpeg(data, "RGB"))
            if hand.missing[frame]:
                crop = (crop * DIMMED).astype(np.uint8)
            left = number * (SIDE + GAP)
            row[:, left : left + SIDE] = crop
        return row


def _fitted(crop: np.ndarray) -> np.ndarray:
    """uint8 (SIDE, SIDE, 3): the crop, as large as it fits, on black."""
    height, width = crop.shape[:2]
    scale = SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    fitted = np.zeros((SIDE, SIDE, 3), np.uint8)
    left, top = (SIDE - size[0]) // 2, (SIDE - size[1]) // 2
    resized = Image.fromarray(crop).resize(size, Image.Resampling.BILINEAR)
    fitted[top : top + size[1], left : left + size[0]] = np.asarray(resized)
    return fitted
