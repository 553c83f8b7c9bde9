"""Reading what FFmpeg prints of files: the streams in its log, and framecrc's line for every packet or frame."""

import re
from typing import NamedTuple

_INPUT = re.compile(r"^\[info\] Input #(\d+), (\S+), from ", re.MULTILINE)
_DURATION = re.compile(r"^\[info\]   Duration: (\d+):(\d\d):(\d\d\.\d+)(?:, start: (-?[\d.]+))?", re.MULTILINE)
# "  Stream #0:1[0x2](und): Video: h264 (High) (avc1 / 0x31637661), yuv420p(progressive), 160x120 [SAR 16:9 …], …"
_STREAM = re.compile(r"^\[info\]   Stream #(\d+):(\d+)\S*: Video: (\w+)(.*)$", re.MULTILINE)
_MAPPED = re.compile(r"^\[info\]   Stream #(\d+):(\d+) -> #0:(\d+) \(copy\)$", re.MULTILINE)
_SIZE = re.compile(r", (\d+)x(\d+)(?:,? \[?SAR (\d+):(\d+))?")
_RATE = re.compile(r", ([\d.]+) fps")
_PIXELS = re.compile(r", ([a-z]\w*)(?:\(([^)]*)\))?, \d+x\d+")
# A display matrix in the container, under the line of its stream; and what trace_headers prints of one in a packet.
_TURNED = re.compile(r"display ?matrix: rotation of", re.IGNORECASE)
ORIENTATION = "Display Orientation"
_TIME_BASE = re.compile(r"^#tb (\d+): (\d+)/(\d+)", re.MULTILINE)
# Stream, dts, pts, duration, size, checksum and, where they are not just KEY, flags ("F=0x0") or side data ("S=1, …").
_LINE = re.compile(r"^(\d+), +(-?\d+), +(-?\d+), +(\d+), +(\d+), 0x[0-9a-f]+(?:, F=0x([0-9A-F]+))?", re.MULTILINE)
_NO_TIME = -(2**63)  # AV_NOPTS_VALUE


class VideoStream(NamedTuple):
    """What a stream's line in the log says of its frames."""

    codec: str
    pixels: str  # pixel format, e.g. "yuv420p", "gray16le"
    about: str  # "tv, bt709, progressive"
    width: int
    height: int
    aspect: float  # of a pixel: width / height
    rate: float = 0.0  # frames per second, as the container says; 0: it does not
    turned: bool = False  # the container has a display matrix for it


class InputFile(NamedTuple):
    """An input file as the log describes it."""

    container: str  # the demuxer's name
    duration: float | None  # seconds, as the container says; None: it does not
    start: float
    pictures: dict[int, VideoStream]  # by number of the stream


class Packet(NamedTuple):
    """A packet of a copied stream, or a decoded frame. Times in seconds."""

    time: float | None  # of presentation; None: the container has none
    order: float  # of decoding
    duration: float
    size: int  # bytes
    flags: int  # 1: key frame, at which decoding can start; 2: corrupt; 4: not shown


def sources_in(log: str) -> list[InputFile]:
    """The input files of a log at `-loglevel level+info`, in order."""
    inputs = log.split("\n[info] Stream mapping:")[0]
    found = list(_INPUT.finditer(inputs))
    ends = [match.start() for match in found[1:]] + [len(inputs)]
    return [_source(match[2].rstrip(","), inputs[match.end() : end]) for match, end in zip(found, ends, strict=True)]


def _source(container: str, section: str) -> InputFile:
    duration = _DURATION.search(section)
    seconds = 60 * (60 * int(duration[1]) + int(duration[2])) + float(duration[3]) if duration else None
    pictures = {}
    for match in _STREAM.finditer(section):
        # Up to the next stream, without the values of metadata, which may say anything.
        below = section[match.end() :].partition("\n[info]   Stream #")[0]
        turned = any(_TURNED.match(line[7:].strip()) for line in below.splitlines() if line.startswith("[info]      "))
        pictures[int(match[2])] = _picture(match[3], match[4])._replace(turned=turned)
    return InputFile(container, seconds, float((duration and duration[4]) or 0), pictures)


def _picture(codec: str, rest: str) -> VideoStream:
    size, pixels, rate = _SIZE.search(rest), _PIXELS.search(rest), _RATE.search(rest)
    across, down = (int(size[3] or 1), int(size[4] or 1)) if size else (1, 1)
    return VideoStream(
        codec,
        pixels[1] if pixels else "",
        (pixels[2] or "") if pixels else "",
        int(size[1]) if size else 0,
        int(size[2]) if size else 0,
        across / down if across and down else 1.0,
        float(rate[1]) if rate else 0.0,
    )


def output_pictures(log: str) -> dict[int, VideoStream]:
    """The picture that each output file gets, from its decoder with rotation applied, by number of the file."""
    outputs = log.partition("\n[info] Stream mapping:")[2]
    return {int(match[1]): _picture(match[3], match[4]) for match in _STREAM.finditer(outputs)}


def copied_streams(log: str) -> dict[int, tuple[int, int]]:
    """(input, stream) of every stream of the first output, to which packets are copied."""
    return {int(match[3]): (int(match[1]), int(match[2])) for match in _MAPPED.finditer(log)}


def listed(listing: str) -> dict[int, list[Packet]]:
    """framecrc's lines, by stream of the output."""
    base = {int(m[1]): int(m[2]) / int(m[3]) for m in _TIME_BASE.finditer(listing)}
    packets: dict[int, list[Packet]] = {stream: [] for stream in base}
    for match in _LINE.finditer(listing):
        stream, dts, pts, duration, size = (int(value) for value in match.groups()[:5])
        unit = base[stream]
        time = None if pts == _NO_TIME else pts * unit
        flags = 1 if match[6] is None else int(match[6], 16)
        packets[stream].append(Packet(time, dts * unit, max(duration, 1) * unit, size, flags))
    return packets


def mean_rate(packets: list[Packet]) -> float:
    """Frames per second, the mean over a clip."""
    # AVI has no presentation time for the frames that others are predicted from.
    timed = all(packet.time is not None for packet in packets)
    times = sorted(packet.time if timed and packet.time is not None else packet.order for packet in packets)
    if len(times) > 1 and times[-1] > times[0]:
        return (len(times) - 1) / (times[-1] - times[0])
    return 1 / packets[0].duration
