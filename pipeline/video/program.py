"""The FFmpeg program: which binary runs, and what its log says of a file."""

import re
import shutil
import subprocess
from pathlib import Path

from shards.errors import InputError

# A clip of seconds takes FFmpeg well under one; what takes this long, or so long for a byte of the next frame, hangs (a
# dead network file system, a broken file).
TIME_LIMIT = 300.0
# "ffmpeg version 4.4.2-0ubuntu0.22.04.1 Copyright …", "ffmpeg version n5.1 …"
_VERSION = re.compile(r"ffmpeg version n?(\d+)\.(\d+)")
_OLDEST = (5, 1)
# With `-loglevel level+…`: "[in#0 @ 0x55c493bd2180] [error] moov atom not found", "[fatal] Error opening input …"
_MESSAGE = re.compile(r"^(?:\[(\S+) @ 0x[0-9a-f]+\] )+\[(error|fatal|warning)\] (.+)$", re.MULTILINE)
_REFUSED = re.compile(r"^\[(?:error|fatal)\] ((?:Unrecognized|Unknown|Option|Error) .+)$", re.MULTILINE)
# What decoders say of a clip that was cut without encoding, before its first key frame; it decodes well after it.
_BEFORE_A_KEY_FRAME = re.compile(
    r"mmco: unref short|[Rr]eference picture missing"
    r"|Missing reference picture|co located POCs|First slice in a frame missing|no frame!|non-existing PPS"
    r"|decode_slice_header error|number of reference frames|MVs not available|Frame num gap|sps_id \d+ out of range"
)
# Whose messages are not about the bytes of a picture.
_NO_DECODERS = ("in#", "out#", "vost#", "fc#", "Parsed_", "auto_", "mov", "matroska", "rawvideo", "framecrc", "null")
_CUT_SHORT = re.compile(r"File ended prematurely|partial file|Packet corrupt|corrupt input packet")


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


def reason_of(log: str) -> str:
    """Why FFmpeg gave up, in a few words out of its log: its first error, not the first warning."""
    if "matches no streams" in log:
        return "it holds no video stream"
    if "not on whitelist" in log:
        return "it is no recorded video: a list of other files, or of a rare kind; convert it to mp4"
    errors = [text for who, level, text in _MESSAGE.findall(log) if level != "warning" and not who.startswith("out#")]
    if errors:
        return errors[0].strip()
    refused = _REFUSED.search(log)
    return refused[1].strip() if refused else "FFmpeg gives no reason"


def is_cut_short(log: str) -> bool:
    """Whether FFmpeg met the end of a file before the container's end."""
    return bool(_CUT_SHORT.search(log))


def damage_in(log: str) -> str | None:
    """A decoder's first complaint about the bytes of a clip, or None."""
    for who, level, text in _MESSAGE.findall(log):
        of_decoder = level == "error" and not who.startswith(_NO_DECODERS)
        if (of_decoder and not _BEFORE_A_KEY_FRAME.search(text)) or "corrupt decoded frame" in text:
            return text.strip()
    return None
