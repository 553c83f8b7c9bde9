"""What is in a video, from FFmpeg. The command lines come from ffmpeg-python."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import ClipError
from pipeline.workers.process import capture
from pipeline.workspace.clip import Video
from shards.errors import InputError

# A clip of seconds takes FFmpeg well under one; what takes this long, or so long for a byte of the next frame, hangs (a
# dead network file system, a broken file).
TIME_LIMIT = 300.0
_DIMENSIONS = re.compile(r"#dimensions (\d+): (\d+)x(\d+)")
_TIME_BASE = re.compile(r"#tb (\d+): (\d+)/(\d+)")
# "      Display Matrix: rotation of -90.00 degrees"; a line of its own, since a comment may say the same words.
_ROTATION = re.compile(r"^ *display ?matrix: rotation of (-?\d+)", re.MULTILINE | re.IGNORECASE)
# What framecrc prints of a packet: stream, dts, pts, duration, size, checksum and, where they are not just KEY, flags.
_PACKET = re.compile(r"^(\d+), +(-?\d+), +(-?\d+), +(\d+), +\d+, 0x[0-9a-f]+(?:, F=0x([0-9A-F]+))?", re.MULTILINE)
_DISCARD = 0x4  # AV_PKT_FLAG_DISCARD: an edit list leaves the frame out, as after a trim that cuts between key frames
_NO_TIME = -(2**63)  # AV_NOPTS_VALUE
# "ffmpeg version 4.4.2-0ubuntu0.22.04.1 Copyright …", "ffmpeg version n5.1 …"
_VERSION = re.compile(r"ffmpeg version n?(\d+)\.(\d+)")
_OLDEST = (5, 1)
# "[in#0 @ 0x55c493bd2180] moov atom not found"
_REASON = re.compile(r"^\[[^]]* @ 0x[0-9a-f]+\] (.+)$", re.MULTILINE)
# "Unrecognized option 'fps_mode'.", of an FFmpeg that is too old, say
_REFUSED = re.compile(r"^((?:Unrecognized|Unknown|Error) .+)$", re.MULTILINE)


def ffmpeg_binary(named: str | None = None) -> str:
    """The FFmpeg to run: the one named by the user, else $IMAGEIO_FFMPEG_EXE, else the imageio-ffmpeg wheel's own."""
    if named:
        return named
    import imageio_ffmpeg

    return imageio_ffmpeg.get_ffmpeg_exe()


def named_ffmpeg(name: str) -> str:
    """The absolute path of the FFmpeg that a user names: workers of a cluster do not share our working directory.

    Raises:
        InputError: there is none.
    """
    found = shutil.which(name)
    if not found:
        raise InputError(f"{name}: no such program; --ffmpeg names FFmpeg's binary")
    return str(Path(found).absolute())


def refuse_old(binary: str) -> None:
    """InputError for an FFmpeg that is too old, or does not run."""
    hint = "--ffmpeg or $IMAGEIO_FFMPEG_EXE names FFmpeg's binary, 5.1 or later"
    try:
        done = subprocess.run([binary, "-version"], capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise InputError(f"{binary}: does not run ({error.strerror}); {hint}") from error
    version = _VERSION.match(done.stdout)  # of a development build it is "N-" and a number, and no release's
    if version and (int(version[1]), int(version[2])) < _OLDEST:
        raise InputError(f"{binary}: is version {version[1]}.{version[2]}; {hint}")


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
    # ffmpeg-python takes equal inputs for one, which a file that is named twice is not; the queue's default is 8.
    streams = [input_of(path, thread_queue_size=8 + number)["v:0"] for number, path in enumerate(paths)]
    # framecrc lists one line per packet of every stream; the checksums cost nothing that can be measured.
    command = ffmpeg.output(*streams, "pipe:", format="framecrc", codec="copy").global_args("-hide_banner", "-nostdin")
    done = capture(ffmpeg.compile(command, cmd=binary), TIME_LIMIT, paths[0])
    log = done.stderr.decode(errors="replace")
    if done.status:
        if len(paths) > 1:
            return [probe([path], binary)[0] for path in paths]  # finds out which one it is
        raise ClipError(f"{paths[0]}: not a readable video ({reason_of(log)})")
    # The output's section repeats what the inputs' say.
    inputs = log.split("\nOutput #")[0].split("\nInput #")[-len(paths) :]
    return [_facts(done.stdout.decode(), stream, inputs[stream], path) for stream, path in enumerate(paths)]


def input_of(path: str, **options: int) -> Any:
    """A file as FFmpeg's input."""
    import ffmpeg  # takes 70 ms

    # "file:" and the whitelist: a clip's name is never a URL, and a playlist renamed to mp4 opens nothing else.
    return ffmpeg.input(f"file:{path}", protocol_whitelist="file", **options)


def _facts(listing: str, stream: int, log: str, path: str) -> Video:
    size = {int(m[1]): (int(m[2]), int(m[3])) for m in _DIMENSIONS.finditer(listing)}
    base = {int(m[1]): int(m[2]) / int(m[3]) for m in _TIME_BASE.finditer(listing)}
    packets = [[int(n) for n in m.groups()[1:4]] for m in _PACKET.finditer(listing) if _shown(m, stream)]
    if not packets or stream not in size:
        raise ClipError(f"{path}: holds no video frames")
    # AVI has no pts for the frames that others are predicted from.
    which = 0 if any(pts == _NO_TIME for _, pts, _ in packets) else 1
    times = sorted(packet[which] for packet in packets)
    if len(times) > 1 and times[-1] > times[0]:
        fps = (len(times) - 1) / ((times[-1] - times[0]) * base[stream])
    else:
        fps = 1 / (max(packets[0][2], 1) * base[stream])
    width, height = size[stream]
    rotation = _ROTATION.search(log)
    if rotation and int(rotation[1]) % 180:
        width, height = height, width
    return Video(len(times), width, height, round(fps, 3))


def _shown(packet: re.Match[str], stream: int) -> bool:
    """Whether a packet is of this stream, and its frame comes out of the decoder."""
    return int(packet[1]) == stream and not int(packet[5] or "0", 16) & _DISCARD


def reason_of(log: str) -> str:
    """Why FFmpeg gave up, in a few words out of its log."""
    if "matches no streams" in log:
        return "it holds no video stream"
    reason = _REASON.search(log) or _REFUSED.search(log)
    return reason[1].strip() if reason else "FFmpeg gives no reason"
