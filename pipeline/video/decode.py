"""The frames of videos, decoded by FFmpeg."""

import os
import selectors
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import IO, TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.errors import ClipError
from pipeline.video.probe import damaged
from pipeline.video.program import TIME_LIMIT, damage_in, reason_of
from pipeline.video.recording import Recording, frames_of
from pipeline.workers.process import kill_group, start_group, widen_pipe, within
from pipeline.workspace.clip import Video

if TYPE_CHECKING:  # importing ffmpeg-python takes 70 ms
    from ffmpeg.nodes import OutputStream

_PIXELS = {"rgb": "rgb24", "gray16": "gray16le"}


class Region(NamedTuple):
    """A part of a picture, in pixels; x and y are even, so that half-size chroma planes can be cut there."""

    x: int
    y: int
    width: int
    height: int


class WantedStream(NamedTuple):
    """What to decode of a file.

    `kind`: "planes" gives Y, U and V planes at half chroma size, limited-range BT.601, as most videos store them (see
    `planes`, `crops.crop`); "gray" only Y; "gray16" what a depth camera measured, in two bytes; "rgb" what OpenCV
    reads, (height, width, 3).
    """

    recording: Recording
    video: Video  # what it holds
    kind: str
    region: Region | None = None  # None: whole frames


def decode(
    streams: Sequence[WantedStream], binary: str, take_damaged: bool = False
) -> Iterator[tuple[int, np.ndarray]]:
    """All frames, as a player shows them, of one or several files: (number of the stream, uint8 bytes).

    Frames of a stream come in order, streams in any. The arrays are reused: copy what is kept. All files go through
    one FFmpeg process: starting one takes 11 ms, a third of what it takes to decode a clip.

    Raises:
        ClipError: FFmpeg fails, hangs, gives another number of frames than was counted, or finds damage (unless
            `take_damaged`).
    """
    pipes = [_Pipe(_frame_bytes(stream)) for stream in streams]
    with ExitStack() as held, tempfile.TemporaryFile() as log:
        for pipe in pipes:
            held.callback(pipe.close)
        process = held.enter_context(_start(streams, pipes, binary, log))
        try:
            for number in _filled(pipes):
                if pipes[number].count > streams[number].video.frames:
                    break
                yield number, pipes[number].frame
        except TimeoutError as error:
            raise ClipError(f"{streams[0].recording.path}: {binary} gave nothing for {TIME_LIMIT:g} s") from error
        finally:
            kill_group(process)
        log.seek(0)
        messages = log.read().decode(errors="replace")
        damage = None if take_damaged else damage_in(messages)
        if all(pipe.count == one.video.frames for pipe, one in zip(pipes, streams, strict=True)) and not damage:
            return
        recording, video = streams[0].recording, streams[0].video
        if len(streams) > 1:
            for stream in streams:  # finds out which one it is
                for _ in decode([stream], binary, take_damaged):
                    pass
        if damage:
            raise ClipError(damaged(recording, video.stream, video.frame_seconds, binary, damage))
        count, reason = pipes[0].count, reason_of(messages)
        found = "more" if count > video.frames else str(count)
        raise ClipError(f"{recording.path}: decodes to {found} frames, where {video.frames} were counted ({reason})")


class _Pipe:
    """A pipe that FFmpeg writes frames of one size to."""

    def __init__(self, size: int) -> None:
        self.frame = np.empty(size, np.uint8)
        self.count = 0  # frames read
        self.reader, self.writer = os.pipe()
        self._open = True  # the writer, here
        self._missing = self.frame.data
        widen_pipe(self.reader)

    def read(self) -> int:
        """Read what is there, at most to the end of the frame; 0 bytes: FFmpeg has closed it."""
        count = os.readv(self.reader, [self._missing])
        self._missing = self._missing[count:]
        return count

    def full(self) -> bool:
        """Whether `frame` is whole; it counts then, and the next `read` overwrites it."""
        if len(self._missing):
            return False
        self.count += 1
        self._missing = self.frame.data
        return True

    def close_writer(self) -> None:
        """Leave FFmpeg as the only writer, so that its end is the pipe's."""
        if self._open:
            os.close(self.writer)
            self._open = False

    def close(self) -> None:
        self.close_writer()
        os.close(self.reader)


def _filled(pipes: Sequence[_Pipe]) -> Iterator[int]:
    """Numbers of pipes, whenever one's frame is whole, until all have ended.

    Whichever has bytes is read: FFmpeg holds a file back when it waits for us to read from another.

    Raises:
        TimeoutError: no bytes come for TIME_LIMIT. The time from the first byte to the last is no sign of a hang: a
            recording of hours takes long, and so may what is done with its frames.
    """
    with selectors.DefaultSelector() as ready:
        for number, pipe in enumerate(pipes):
            ready.register(pipe.reader, selectors.EVENT_READ, number)
        while ready.get_map():
            for key, _ in within(TIME_LIMIT, partial(_select, ready)):
                if not pipes[key.data].read():
                    ready.unregister(key.fd)
                elif pipes[key.data].full():
                    yield key.data


def _select(ready: selectors.BaseSelector, seconds: float) -> list[tuple[selectors.SelectorKey, int]]:
    """The pipes that have bytes; TimeoutError where none has."""
    if readable := ready.select(seconds):
        return readable
    raise TimeoutError


def _start(
    streams: Sequence[WantedStream], pipes: Sequence[_Pipe], binary: str, log: IO[bytes]
) -> "subprocess.Popen[bytes]":
    import ffmpeg

    outputs = [_output(number, stream, pipes[number].writer) for number, stream in enumerate(streams)]
    merged = ffmpeg.merge_outputs(*outputs) if len(outputs) > 1 else outputs[0]
    command = ffmpeg.compile(merged.global_args("-hide_banner", "-nostdin", "-loglevel", "level+warning"), cmd=binary)
    process = start_group(command, subprocess.DEVNULL, log, pass_fds=[pipe.writer for pipe in pipes])
    for pipe in pipes:
        pipe.close_writer()
    return process


def _output(number: int, stream: WantedStream, writer: int) -> "OutputStream":
    video = stream.video
    # Every coded frame once, whatever its time stamp; one thread, since clips run in parallel.
    options = {"format": "rawvideo", "fps_mode": "passthrough", "threads": 1}
    # ffmpeg-python takes equal inputs for one, which a file that is named twice is not; the queue's default is 8.
    node = frames_of(stream.recording, video.stream, video.frame_seconds, threads=1, thread_queue_size=8 + number)
    # Passes frames on as they are, unless the picture changes its size midway: keypoints are of the first size.
    node = node.filter("scale", video.width, video.height)
    if region := stream.region:
        node = node.filter("crop", region.width, region.height, region.x, region.y, exact=1)
    if stream.kind in _PIXELS:
        options["pix_fmt"] = _PIXELS[stream.kind]
    else:
        # For the usual limited-range 4:2:0 video this passes pictures on: FFmpeg's own conversion to full range costs
        # half as much as decoding.
        node = node.filter("scale", out_color_matrix="bt601", out_range="limited").filter("format", "yuv420p")
        if stream.kind == "gray":
            node = node.filter("extractplanes", "y")
    return node.output(f"pipe:{writer}", **options)


def planes(frame: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Views of the Y (h, w), U and V (⌈h/2⌉, ⌈w/2⌉) planes of a frame of kind "planes"."""
    half_width, half_height = -(-width // 2), -(-height // 2)
    luma, chroma = width * height, half_width * half_height
    return (
        frame[:luma].reshape(height, width),
        frame[luma : luma + chroma].reshape(half_height, half_width),
        frame[luma + chroma :].reshape(half_height, half_width),
    )


def _frame_bytes(stream: WantedStream) -> int:
    region = stream.region
    width, height = (region.width, region.height) if region else (stream.video.width, stream.video.height)
    luma = width * height
    planar = luma + 2 * (-(-width // 2) * -(-height // 2))
    return {"gray": luma, "gray16": 2 * luma, "rgb": 3 * luma, "planes": planar}[stream.kind]
