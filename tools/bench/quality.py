"""What JPEG quality costs: bytes, time to decode, error."""

import numpy as np
import simplejpeg

from pipeline.hands.boxes import hand_boxes
from pipeline.hands.crops import Picture, crop, encode
from pipeline.video.decode import Stream, decode, planes
from pipeline.video.probe import ffmpeg_binary, probe
from pipeline.workspace.clip import Sample
from pipeline.workspace.manifest import read_data
from pipeline.workspace.paths import Workspace
from shards.format.recipe import DEFAULT
from tools.bench.data import BenchData
from tools.bench.timing import Run, Table, compare, table

QUALITIES = (80, 90, 95)
CLIPS = 4


def quality_table(data: BenchData, repeats: int, lines: list[str]) -> Table:
    """Decoding the right hand's crops of some clips; a line for each quality goes to `lines`."""
    pictures = [picture for clip in read_data(data.mp4)[:CLIPS] for picture in _crops(clip, data)]
    encoded = {quality: [encode(picture, quality) for picture in pictures] for quality in (*QUALITIES, 100)}
    best = [simplejpeg.decode_jpeg(jpeg).astype(int) for jpeg in encoded[100]]
    for quality in QUALITIES:
        shown = [simplejpeg.decode_jpeg(jpeg) for jpeg in encoded[quality]]
        error = np.mean([np.abs(one - other).mean() for one, other in zip(shown, best, strict=True)])
        size = np.mean([len(jpeg) for jpeg in encoded[quality]]) / 1000
        lines.append(f"crops at quality {quality}: {size:.1f} KB, mean error {error:.2f} of 255 against quality 100")

    def run(quality: int) -> Run:
        return lambda: [simplejpeg.decode_jpeg(jpeg) for jpeg in encoded[quality]]

    contenders = {f"quality {quality}": run(quality) for quality in QUALITIES[:-1]}
    return table("decoding a crop", "crop", "quality 95", compare(run(95), contenders, len(pictures), repeats))


def _crops(clip: Sample, data: BenchData) -> list[Picture]:
    (video,) = probe([str(clip.color)], ffmpeg_binary())
    keypoints = np.load(Workspace(data.work).keypoints(clip.id))
    boxes, _ = hand_boxes(keypoints, "right", video.width, video.height, DEFAULT)
    frames = decode([Stream(str(clip.color), "planes")], video, ffmpeg_binary())
    return [
        crop(planes(frame, video.width, video.height), box.tolist())
        for (_, frame), box in zip(frames, boxes, strict=True)
    ]
