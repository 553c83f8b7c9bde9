"""Videos through FFmpeg: what is in them, and their frames. The command lines come from ffmpeg-python."""

import re
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.child import capture, kill_group, start_group
from pipeline.failure import ClipError

# A clip of seconds takes FFmpeg well under one; what takes this long hangs (a dead network file system, a broken file).
TIME_LIMIT = 300.0
_DIMENSIONS = re.compile(r"#dimensions (\d+): (\d+)x(\d+)")
_TIME_BASE = re.compile(r"#tb (\d+): (\d+)/(\d+)")
_ROTATION = re.compile(r"rotation of (-?\d+)")
# "[in#0 @ 0x55c493bd2180] moov atom not found"
_SAID = re.compile(r"^\[[^]]* @ 0x[0-9a-f]+\] (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Video:
    """What a video holds, as a player shows it (rotation applied)."""

    frames: int
    width: int
    height: int
    fps: float  # frames per second, the mean over the video


@cache
def ffmpeg_binary(named: str | None = None) -> str:
    """The FFmpeg to run: the one named by the user, else $IMAGEIO_FFMPEG_EXE, else the imageio-ffmpeg wheel's own."""
    if named:
        return named
    import imageio_ffmpeg

    return imageio_ffmpeg.get_ffmpeg_exe()


def probe(paths: Sequence[str], binary: str) -> list[Video]:
    """Count, size and rate of videos, from their packets, without decoding a pixel; one FFmpeg process for all.

    Raises:
        ClipError: one of them is missing, empty, no video, or not readable.
    """
    import ffmpeg

    for path in paths:
        if not Path(path).is_file():
            raise ClipError(f"{path}: no such file")
        if not Path(path).stat().st_size:
            raise ClipError(f"{path}: empty file")
    streams = [_input(path)["v:0"] for path in paths]
    # framecrc lists one line per packet of every stream; the checksums cost nothing that can be measured.
    command = ffmpeg.output(*streams, "pipe:", format="framecrc", codec="copy").global_args("-hide_banner", "-nostdin")
    done = capture(ffmpeg.compile(command, cmd=binary), TIME_LIMIT, paths[0])
    log = done.stderr.decode(errors="replace")
    if done.status:
        if len(paths) > 1:
            return [probe([path], binary)[0] for path in paths]  # finds out which one it is
        raise ClipError(f"{paths[0]}: not a readable video ({_reason(log)})")
    inputs = log.split("\nInput #")[-len(paths) :] if len(paths) > 1 else [log]
    return [_facts(done.stdout.decode(), stream, inputs[stream], path) for stream, path in enumerate(paths)]


class Region(NamedTuple):
    """A part of a picture, in pixels; x and y are even, so that half-size chroma planes can be cut there."""

    x: int
    y: int
    width: int
    height: int


def decode(path: str, video: Video, kind: str, binary: str, region: Region | None = None) -> Iterator[np.ndarray]:
    """The frames of a video (rotation applied), or a region of them, each as uint8 bytes.

    `kind`: "planes" gives Y, U and V planes at half chroma size, full-range BT.601, as JPEG stores them (see `planes`);
    "grey" only Y; "rgb" what OpenCV reads, (height, width, 3). The array is reused: copy what is kept.

    Raises:
        ClipError: FFmpeg fails, hangs, or gives another number of frames than `video` has.
    """
    import ffmpeg

    # Every coded frame once, whatever its time stamp; one thread, since clips run in parallel.
    options = {"format": "rawvideo", "fps_mode": "passthrough", "threads": 1}
    stream = _input(path, threads=1)["v:0"]
    if region is not None:
        stream = stream.filter("crop", region.width, region.height, region.x, region.y, exact=1)
    if kind == "rgb":
        options["pix_fmt"] = "rgb24"
    else:
        # For the usual limited-range 4:2:0 video this passes pictures on; `_full_range` is a table look-up afterwards,
        # a fifth of what FFmpeg's own range conversion costs.
        stream = stream.filter("scale", out_color_matrix="bt601", out_range="limited").filter("format", "yuv420p")
        if kind == "grey":
            stream = stream.filter("extractplanes", "y")
    command = ffmpeg.output(stream, "pipe:", **options).global_args("-hide_banner", "-nostdin", "-loglevel", "error")
    width, height = (region.width, region.height) if region else (video.width, video.height)
    frame = np.empty(_frame_bytes(width, height, kind), np.uint8)
    count = 0
    with tempfile.TemporaryFile() as log:
        with start_group(ffmpeg.compile(command, cmd=binary), subprocess.PIPE, log) as process:
            expired = threading.Event()
            timer = threading.Timer(TIME_LIMIT, _expire, [process, expired])
            timer.start()
            try:
                while _fill(process.stdout, frame):
                    count += 1
                    if count > video.frames:
                        break
                    yield frame if kind == "rgb" else _full_range(frame, width * height)
            finally:
                timer.cancel()
                kill_group(process)
        if expired.is_set():
            raise ClipError(f"{path}: {binary} did not finish in {TIME_LIMIT:g} s")
        if count != video.frames:
            log.seek(0)
            reason = _reason(log.read().decode(errors="replace"))
            found = "more" if count > video.frames else str(count)
            raise ClipError(f"{path}: decodes to {found} frames, its container lists {video.frames} ({reason})")


def _expire(process: "subprocess.Popen[bytes]", expired: threading.Event) -> None:
    expired.set()  # first: the reader sees the end of the pipe before the process has been waited for
    kill_group(process)


def planes(frame: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Views of the Y (h, w), U and V (⌈h/2⌉, ⌈w/2⌉) planes of a frame of kind "planes"."""
    half_width, half_height = -(-width // 2), -(-height // 2)
    luma, chroma = width * height, half_width * half_height
    return (
        frame[:luma].reshape(height, width),
        frame[luma : luma + chroma].reshape(half_height, half_width),
        frame[luma + chroma :].reshape(half_height, half_width),
    )


def _frame_bytes(width: int, height: int, kind: str) -> int:
    luma = width * height
    return {"grey": luma, "rgb": 3 * luma, "planes": luma + 2 * (-(-width // 2) * -(-height // 2))}[kind]


def _table(low: int, high: int, middle: float) -> bytes:
    """From limited range (`low` to `high`) to 0 … 255 about `middle`, for `bytes.translate`."""
    values = (np.arange(256) - (low + high) / 2) * 255 / (high - low) + middle
    return np.clip(np.rint(values), 0, 255).astype(np.uint8).tobytes()


# Rec. 601: luma 16 to 235, chroma 16 to 240 about 128.
_LUMA, _CHROMA = _table(16, 235, 127.5), _table(16, 240, 128)


def _full_range(frame: np.ndarray, luma: int) -> np.ndarray:
    """A limited-range frame, whose first `luma` bytes are Y, at full range."""
    data = memoryview(frame)
    full = bytes(data[:luma]).translate(_LUMA) + bytes(data[luma:]).translate(_CHROMA)
    return np.frombuffer(full, np.uint8)


def _input(path: str, **options: int) -> "ffmpeg.nodes.FilterableStream":  # noqa: F821 - imported where it is used: 70 ms
    import ffmpeg

    # "file:" and the whitelist: a clip's name is never a URL, and a playlist renamed to mp4 opens nothing else.
    return ffmpeg.input(f"file:{path}", protocol_whitelist="file", **options)


def _fill(pipe: "subprocess.IO[bytes]", buffer: np.ndarray) -> bool:
    """Read one whole frame; False at the end."""
    view = memoryview(buffer)
    filled = 0
    while filled < len(view):
        count = pipe.readinto(view[filled:])
        if not count:
            return False
        filled += count
    return True


def _facts(listing: str, stream: int, log: str, path: str) -> Video:
    size = {int(m[1]): (int(m[2]), int(m[3])) for m in _DIMENSIONS.finditer(listing)}
    base = {int(m[1]): int(m[2]) / int(m[3]) for m in _TIME_BASE.finditer(listing)}
    packets = [line.split(",") for line in listing.splitlines() if line.startswith(f"{stream},")]
    if not packets or stream not in size:
        raise ClipError(f"{path}: holds no video frames")
    times = sorted(int(packet[2]) for packet in packets)
    if len(times) > 1 and times[-1] > times[0]:
        fps = (len(times) - 1) / ((times[-1] - times[0]) * base[stream])
    else:
        fps = 1 / (max(int(packets[0][3]), 1) * base[stream])
    width, height = size[stream]
    rotation = _ROTATION.search(log)
    if rotation and int(rotation[1]) % 180:
        width, height = height, width
    return Video(len(times), width, height, round(fps, 3))


def _reason(log: str) -> str:
    """Why FFmpeg gave up, in a few words out of its log."""
    if "matches no streams" in log:
        return "it holds no video stream"
    said = _SAID.search(log)
    return said[1].strip() if said else "FFmpeg gives no reason"
