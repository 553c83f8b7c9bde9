"""Videos through FFmpeg: what is in them, and their frames. The command lines come from ffmpeg-python."""

import re
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

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
    try:
        done = subprocess.run(ffmpeg.compile(command, cmd=binary), capture_output=True, timeout=TIME_LIMIT)
    except subprocess.TimeoutExpired as error:
        raise ClipError(f"{paths[0]}: FFmpeg did not finish in {TIME_LIMIT:.0f} s") from error
    log = done.stderr.decode(errors="replace")
    if done.returncode:
        if len(paths) > 1:
            return [probe([path], binary)[0] for path in paths]  # finds out which one it is
        raise ClipError(f"{paths[0]}: not a readable video ({_reason(log)})")
    inputs = log.split("\nInput #")[-len(paths) :] if len(paths) > 1 else [log]
    return [_facts(done.stdout.decode(), stream, inputs[stream], path) for stream, path in enumerate(paths)]


def decode(path: str, video: Video, pixel_format: str, binary: str) -> Iterator[np.ndarray]:
    """The frames of a video, each the uint8 bytes of one frame in FFmpeg's `pixel_format` (rotation applied).

    `yuvj420p` gives full-range BT.601 planes, as JPEG uses them; `gray` one full-range plane. The array is reused: copy
    what is kept.

    Raises:
        ClipError: FFmpeg fails, hangs, or gives another number of frames than `video` has.
    """
    import ffmpeg

    # Every coded frame once, whatever its time stamp; one thread, since clips run in parallel.
    options = {"format": "rawvideo", "pix_fmt": pixel_format, "fps_mode": "passthrough", "threads": 1}
    stream = _input(path, threads=1)["v:0"]
    if pixel_format.startswith("yuvj"):
        stream = stream.filter("scale", out_color_matrix="bt601", out_range="full")
    command = ffmpeg.output(stream, "pipe:", **options).global_args("-hide_banner", "-nostdin", "-loglevel", "error")
    frame = np.empty(frame_bytes(video, pixel_format), np.uint8)
    count = 0
    with tempfile.TemporaryFile() as log:
        arguments = ffmpeg.compile(command, cmd=binary)
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=log, bufsize=0) as process:
            timer = threading.Timer(TIME_LIMIT, process.kill)
            timer.start()
            try:
                while _fill(process.stdout, frame):
                    count += 1
                    if count > video.frames:
                        break
                    yield frame
            finally:
                timed_out = not timer.is_alive()
                timer.cancel()
                process.kill()
        if timed_out:
            raise ClipError(f"{path}: FFmpeg did not finish in {TIME_LIMIT:.0f} s")
        if count != video.frames:
            log.seek(0)
            reason = _reason(log.read().decode(errors="replace"))
            found = "more" if count > video.frames else str(count)
            raise ClipError(f"{path}: decodes to {found} frames, its container lists {video.frames} ({reason})")


def planes(frame: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Views of the Y (h, w), U and V (⌈h/2⌉, ⌈w/2⌉) planes of a yuvj420p frame."""
    half_width, half_height = -(-width // 2), -(-height // 2)
    luma, chroma = width * height, half_width * half_height
    return (
        frame[:luma].reshape(height, width),
        frame[luma : luma + chroma].reshape(half_height, half_width),
        frame[luma + chroma :].reshape(half_height, half_width),
    )


def frame_bytes(video: Video, pixel_format: str) -> int:
    """The bytes of one frame."""
    luma = video.width * video.height
    return luma if pixel_format == "gray" else luma + 2 * (-(-video.width // 2) * -(-video.height // 2))


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
