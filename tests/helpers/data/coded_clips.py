"""Clips whose pictures say which frame they are, keypoints of them, and the number read back from crops of shards.

A picture of 160×120 has a square of 36 pixels around each wrist, and in its upper left corner five bits of the frame's
number: black and white squares of 4 pixels, 5 apart, the lowest bit first. The clips in tests/data/clips are such ones.
"""

import subprocess
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import simplejpeg
from click.testing import CliRunner

from pipeline.cli import main
from shards.format.sample import SampleInfo, array_from_npy, info_from_json

CLIPS = Path(__file__).parents[2] / "data" / "clips"
WIDTH, HEIGHT = 160, 120
Place = Callable[[np.ndarray], np.ndarray]  # points (…, 2) of a picture of 160×120 in the picture that is shown


def upright(points: np.ndarray) -> np.ndarray:
    return points


def wrists(number: int, period: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the left and the right wrist are in a frame; they circle once in `period` frames."""
    cosine, sine = np.cos(2 * np.pi * number / period), np.sin(2 * np.pi * number / period)
    return np.array([115.2 + 8 * cosine, 72 + 9.6 * sine]), np.array([44.8 + 8 * sine, 72 + 9.6 * cosine])


def bits(number: int) -> list[int]:
    return [number >> bit & 1 for bit in range(5)]


def keypoints_of(numbers: Sequence[int], period: int, place: Place = upright) -> np.ndarray:
    """float32 (T, 135, 3) of the person in the frames of these numbers."""
    body = {0: (80, 24), 5: (99.2, 48), 6: (60.8, 48), 7: (112, 62.4), 8: (48, 62.4), 17: (80, 39.6), 18: (80, 12)}
    points = np.zeros((len(numbers), 135, 3), np.float32)
    for point, where in body.items():
        points[:, point] = (*place(np.array(where, float)), 0.9)
    for row, number in zip(points, numbers, strict=True):
        for point, where in zip((9, 10), wrists(number, period), strict=True):
            row[point] = (*place(where), 0.9)
    return points


def picture(number: int, period: int) -> np.ndarray:
    """uint8 (120, 160), gray."""
    image = np.tile(np.linspace(60, 120, WIDTH), (HEIGHT, 1)).astype(np.uint8)
    for wrist in wrists(number, period):
        x, y = np.rint(wrist - 18).astype(int)
        image[y : y + 36, x : x + 36] = 100 + 37 * number % 100
        for place, bit in enumerate(bits(number)):
            image[y + 2 : y + 6, x + 2 + 5 * place : x + 6 + 5 * place] = 255 * bit
    return image


def write_coded(ffmpeg: str, path: Path, frames: int, *options: str) -> None:
    """A clip at 25 frames per second, whose hands circle once; H.264 unless FFmpeg's `options` say something else."""
    raw = b"".join(picture(number, frames).tobytes() for number in range(frames))
    source = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{WIDTH}x{HEIGHT}", "-r", "25", "-i", "-"]
    options = options or ("-pix_fmt", "yuv420p", "-preset", "ultrafast", "-qp", "10")
    subprocess.run([ffmpeg, "-loglevel", "error", "-y", *source, *options, str(path)], input=raw, check=True)


def pipeline_run(*arguments: str | Path) -> tuple[int, str]:
    """Exit status and output of `pipeline run` in this process."""
    result = CliRunner().invoke(main, ["run", *map(str, arguments), "--jobs", "1"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def clip_list(path: Path, *rows: dict[str, object]) -> Path:
    """A clip list; what a row does not say is `train`, nobody, and class 0."""
    columns = list(dict.fromkeys(["id", "split", "signer", "label", "color", *(key for row in rows for key in row)]))
    usual = {"split": "train", "label": 0}
    lines = [",".join(str((usual | row).get(column, "")) for column in columns) for row in rows]
    path.write_text("\n".join([",".join(columns), *lines]) + "\n", encoding="utf-8")
    return path


def samples(work: Path) -> dict[str, dict[str, bytes]]:
    """The members of all samples in a workspace's shards, by id."""
    found: dict[str, dict[str, bytes]] = {}
    for path in sorted((work / "shards").glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                sample_id, _, name = member.name.partition(".")
                found.setdefault(sample_id, {})[name] = tar.extractfile(member).read()
    return found


def crop_of(members: dict[str, bytes], hand: str, frame: int, depth: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A crop as gray levels (h, w), and its box."""
    track = info_from_json(members["json"]).hands[hand]
    table = track.depth_jpegs if depth else track.jpegs
    offset, size, *_ = table[frame].tolist()
    data = members[f"{hand}{'_depth' if depth else ''}.mjpg"][offset : offset + size]
    return simplejpeg.decode_jpeg(data, "GRAY")[..., 0], track.boxes[frame]


def read_bits(
    members: dict[str, bytes], hand: str, frame: int, number: int, period: int, place: Place = upright
) -> list[int | None]:
    """What stands in a crop where the picture of frame `number` has its bits; None where the crop does not reach."""
    image, (x0, y0, x1, y1) = crop_of(members, hand, frame)
    corner = wrists(number, period)[("left", "right").index(hand)] - 18
    found: list[int | None] = []
    for bit in range(5):
        x, y = (place(corner + np.array((4 + 5 * bit, 4))) - (x0, y0)) / (x1 - x0, y1 - y0) * image.shape[::-1]
        column, row = round(x), round(y)
        spot = image[max(row - 1, 0) : row + 1, max(column - 1, 0) : column + 1]
        found.append(int(spot.mean() > 128) if spot.size else None)
    return found


def check_frames(members: dict[str, bytes], first: int, period: int, place: Place = upright) -> None:
    """AssertionError unless every crop shows its own frame, from number `first` on, in its place."""
    info = info_from_json(members["json"])
    for hand in ("left", "right"):
        for frame in range(info.frames):
            assert read_bits(members, hand, frame, first + frame, period, place) == bits(first + frame), (hand, frame)


def info_of(members: dict[str, bytes]) -> SampleInfo:
    return info_from_json(members["json"])


def pose_of(members: dict[str, bytes]) -> np.ndarray:
    return array_from_npy(members["pose.npy"])
