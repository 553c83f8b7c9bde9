"""Videos that we write by FFmpeg: H.264 in MP4 from frames in memory, and plain copies of clips."""

import contextlib
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from pipeline.errors import ClipError
from pipeline.video.program import TIME_LIMIT, reason_of
from pipeline.video.recording import Recording, frames_of
from pipeline.workers.process import capture
from pipeline.workspace.clip import Video
from shards.errors import InputError
from shards.files import whole_file


@dataclass(frozen=True)
class RawFrames:
    """What frames in memory look like."""

    pixels: str  # FFmpeg's name: "rgb24", "gray"
    width: int
    height: int
    rate: float  # frames per second


def write_video(
    path: Path, frames: Iterable[bytes], raw: RawFrames, binary: str, options: dict[str, str | int]
) -> None:
    """Write an MP4 (H.264, 4:2:0, no sound) with these frames, whole or not at all; `options` are the encoder's.

    Raises:
        InputError: FFmpeg cannot write it.
    """
    import ffmpeg

    with whole_file(path) as temporary:
        source = {"format": "rawvideo", "pix_fmt": raw.pixels, "s": f"{raw.width}x{raw.height}", "framerate": raw.rate}
        codec = {"vcodec": "libx264", "pix_fmt": "yuv420p", **options}
        # "file:" - a folder's name may have a colon, and would be a protocol's.
        stream = ffmpeg.input("pipe:", **source).output(f"file:{temporary}", format="mp4", **codec)
        command = ffmpeg.compile(stream.global_args("-loglevel", "error").overwrite_output(), cmd=binary)
        # Frames are written here, not by `communicate`: that one sends 512 bytes to 4 KB at a time.
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            stdin = cast(IO[bytes], process.stdin)
            # A dead FFmpeg breaks the pipe; its reason is in stderr.
            with contextlib.suppress(BrokenPipeError):
                for frame in frames:
                    stdin.write(frame)
            _, log = process.communicate()
        if process.returncode:
            reason = log.decode(errors="replace").strip().splitlines()[-1:] or ["no reason given"]
            raise InputError(f"{path}: FFmpeg could not write it ({reason[0]}); make room or name another file")


def copy_plain(recording: Recording, video: Video, path: Path, binary: str) -> None:
    """Write a clip as any program will see it, for estimators that open files their own way.

    Without loss (FFV1 in Matroska): the stream that is the clip, its part in time, upright, in one size, with square
    pixels.

    Raises:
        ClipError: FFmpeg cannot.
    """
    import ffmpeg

    node = frames_of(recording, video.stream, video.frame_seconds, threads=1)
    node = node.filter("scale", video.width, video.height).filter("setsar", 1)
    output = node.output(f"file:{path}", format="matroska", vcodec="ffv1", fps_mode="passthrough", threads=1)
    command = ffmpeg.compile(output.global_args("-loglevel", "level+error", "-nostdin").overwrite_output(), cmd=binary)
    done = capture(command, TIME_LIMIT, recording.path)
    if done.status:
        raise ClipError(f"{recording.path}: cannot be copied ({reason_of(done.stderr.decode(errors='replace'))})")
