"""How many frames a video has, how large, and which of its streams they are: what decoding gives, found cheaply.

Counting packets of a copied stream decodes nothing (20 ms for a clip of AUTSL), and is right for progressive H.264 and
HEVC in mp4 that begin with a key frame. Elsewhere packets are not frames (alternate references of VP8 and VP9, field
pictures, not-coded pictures, open groups of pictures that were cut), so everything else is decoded once.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from pipeline.errors import ClipError
from pipeline.video.ffmpeg_log import (
    ORIENTATION,
    InputFile,
    Packet,
    VideoStream,
    copied_streams,
    listed,
    mean_rate,
    output_pictures,
    sources_in,
)
from pipeline.video.program import TIME_LIMIT, damage_in, is_cut_short, reason_of
from pipeline.video.recording import Recording, frames_of, input_of, refuse_non_video
from pipeline.workers.process import Finished, capture
from pipeline.workspace.clip import Video

_PACKETS_ARE_FRAMES = ("h264", "hevc")
_MP4 = "mov,mp4"
_HDR = ("arib-std-b67", "smpte2084")
# Pixels that are less than this much wider than high are taken for square.
_SQUARE = 1.02
# Seconds that a container may claim beyond its last frame: rounding, and a last frame of unknown length.
_SLACK_FRAMES, _SLACK_SHARE = 3, 0.02


def probe(recordings: Sequence[Recording], binary: str, take_damaged: bool = False) -> list[Video]:
    """Count, size and rate of videos; one FFmpeg process for all, and one more for each that has to be decoded.

    Args:
        recordings: files, folders of pictures, or parts of them.
        binary: FFmpeg's.
        take_damaged: take what can be decoded of clips that are cut short or damaged, with a note.

    Raises:
        ClipError: one of them is missing, no video, cut short or damaged.
    """
    for recording in recordings:
        refuse_non_video(recording)
    done = _list_packets(recordings, binary, traced=True)
    traced = not done.status  # not all codecs have headers that FFmpeg can print
    if not traced:
        done = _list_packets(recordings, binary, traced=False)
    log = done.stderr.decode(errors="replace")
    if len(recordings) > 1 and (done.status or is_cut_short(log)):
        return [probe([recording], binary, take_damaged)[0] for recording in recordings]  # finds out which one it is
    if done.status:
        raise ClipError(f"{recordings[0].path}: not a readable video ({reason_of(log)})")
    packets = listed(done.stdout.decode())
    return [
        _video(_Found(recording, source, _streams(number, log, packets), log, traced), binary, take_damaged)
        for number, (recording, source) in enumerate(zip(recordings, sources_in(log), strict=True))
    ]


class _Found(NamedTuple):
    """What copying the packets of one file told."""

    recording: Recording
    source: InputFile
    packets: dict[int, list[Packet]]  # by number of the stream in the file
    log: str
    traced: bool  # the log has the headers of the first packet, of all files


def _list_packets(recordings: Sequence[Recording], binary: str, traced: bool) -> Finished:
    """Packets of all streams by framecrc; with `traced`, the headers in each file's first packet, too."""
    import ffmpeg

    # ffmpeg-python takes equal inputs for one, which a file that is named twice is not; the queue's default is 8.
    inputs = [
        input_of(recording, recording.start, thread_queue_size=8 + number)
        for number, recording in enumerate(recordings)
    ]
    streams = [node[kind] for node in inputs for kind in ("V?", "a?")]
    # framecrc prints one line per packet of every stream; the checksums cost nothing that can be measured.
    outputs = [ffmpeg.output(*streams, "pipe:", format="framecrc", codec="copy")]
    for number, node in enumerate(inputs if traced else []):
        headers = {"codec": "copy", "format": "null", "vframes": 1, "bsf:v": "trace_headers"}
        outputs.append(ffmpeg.output(node["V:0"], f"/dev/null#{number}", **headers))
    merged = ffmpeg.merge_outputs(*outputs) if len(outputs) > 1 else outputs[0]
    command = merged.global_args("-hide_banner", "-nostdin", "-loglevel", "level+info")
    return capture(ffmpeg.compile(command, cmd=binary), TIME_LIMIT, recordings[0].path)


def _streams(number: int, log: str, packets: dict[int, list[Packet]]) -> dict[int, list[Packet]]:
    """The packets of one of the files, by stream."""
    return {
        stream: packets[output]
        for output, (file, stream) in copied_streams(log).items()
        if file == number and packets.get(output)
    }


def _video(found: _Found, binary: str, take_damaged: bool) -> Video:
    source, path = found.source, found.recording.path
    moving = {stream: packets for stream, packets in found.packets.items() if stream in source.pictures}
    # SWF and others keep their packets to themselves: what is in the file shows when it is decoded.
    stream = max(moving, key=lambda key: (len(moving[key]), -key)) if moving else min(source.pictures, default=None)
    if stream is None:
        raise ClipError(f"{path}: holds no video frames")
    picture, notes = source.pictures[stream], _notes(source.pictures[stream])
    # A cover picture is a stream of one packet; of two recordings the first is taken.
    if sum(len(packets) > 1 for packets in moving.values()) > 1:
        notes.append(f"holds {len(moving)} video tracks; track {stream} is taken")
    fault = is_cut_short(found.log) or _ends_early(found, stream)
    seconds = 1 / picture.rate if picture.rate else 0.0
    if source.duration is not None and (found.recording.end or 0) > source.duration + _SLACK_FRAMES * seconds:
        notes.append(f"ends at {source.duration:.2f} s, before the clip's end of {found.recording.end:g} s")
    if fault and not take_damaged:
        raise ClipError(
            f"{path}: cut short ({_shortness(found, stream)}); copy or download it again, "
            "or take what is there with `pipeline run --damaged take`"
        )
    is_first = stream == min(source.pictures)
    if fault or not is_first or not _packets_tell(found, stream):
        notes += ["cut short"] if fault else []
        video = _decoded(found.recording, stream, seconds, binary, take_damaged)
    else:
        video = _squared(len(moving[stream]), picture, mean_rate(moving[stream]))
    if video.frames == 1:
        notes.append("a single frame, in which nothing moves")
    turned = (video.width, video.height) != (picture.width, picture.height)
    return replace(
        video,
        stream=stream,
        pixels=picture.pixels,
        frame_seconds=seconds if found.recording.is_part else 0.0,
        plain=found.recording.is_file and is_first and video.plain and not turned,
        notes=(*notes, *video.notes),
    )


def _squared(frames: int, picture: VideoStream, fps: float, plain: bool = True) -> Video:
    aspect = 1.0 if 1 / _SQUARE < picture.aspect < _SQUARE else picture.aspect
    width = round(picture.width * aspect)
    return Video(frames, width, picture.height, round(fps, 3), aspect=aspect, plain=plain and aspect == 1)


def _notes(picture: VideoStream) -> list[str]:
    notes = []
    if "first" in picture.about:
        notes.append("interlaced: two moments in one frame; deinterlace it (FFmpeg's yadif) for sharp hands")
    if any(name in picture.about for name in _HDR):
        notes.append("HDR: its colors differ from those of other clips; convert it to SDR")
    return notes


def _packets_tell(found: _Found, stream: int) -> bool:
    """Whether every packet is a frame that comes out of the decoder, of the size that the container says."""
    picture, packets = found.source.pictures[stream], found.packets.get(stream, [])
    whole = found.traced and packets and not found.recording.is_part
    if not (whole and found.source.container.startswith(_MP4)):
        return False
    odd = "first" in picture.about or picture.turned or ORIENTATION in found.log
    times = [packet.time for packet in packets if packet.time is not None]
    # Leading pictures of an open group are shown before its key frame, and cannot be decoded without the one before.
    in_order = len(times) == len(packets) and packets[0].time == min(times)
    shown = packets[0].flags == 1 and all(packet.flags in (0, 1) and packet.size for packet in packets)
    return picture.codec in _PACKETS_ARE_FRAMES and not odd and in_order and shown


def _end(packets: list[Packet]) -> float:
    return max((packet.order if packet.time is None else packet.time) + packet.duration for packet in packets)


def _ends_early(found: _Found, stream: int) -> bool:
    """Whether the container's own duration goes well beyond its last packet."""
    source, packets = found.source, found.packets.get(stream)
    if source.duration is None or not packets or found.recording.is_part:
        return False
    slack = max(_SLACK_FRAMES / mean_rate(packets), _SLACK_SHARE * source.duration)
    return source.duration - max(source.start, 0) - max(map(_end, found.packets.values())) > slack


def _shortness(found: _Found, stream: int) -> str:
    there = _end(found.packets[stream]) if found.packets.get(stream) else 0
    said = found.source.duration
    return f"{there:.2f} of {said:.2f} s" if said else f"it ends after {there:.2f} s"


def _decoded(recording: Recording, stream: int, frame_seconds: float, binary: str, take_damaged: bool) -> Video:
    """A video by decoding it."""
    done = _decode_listing(recording, stream, frame_seconds, binary)
    log, listing = done.stderr.decode(errors="replace"), done.stdout.decode()
    packets, picture = listed(listing).get(0, []), output_pictures(log).get(0)
    if picture is None or not packets:
        part = f" between {recording.start or 0:g} s and {recording.end or math.inf:g} s" if recording.is_part else ""
        raise ClipError(f"{recording.path}: no frame of it{part} can be decoded ({reason_of(log)})")
    damage = damage_in(log)
    if damage and not take_damaged:
        raise ClipError(damaged(recording, stream, frame_seconds, binary, damage))
    changes = len({packet.size for packet in packets}) > 1
    notes = ["its picture changes size; every frame is scaled to the first one's"] if changes else []
    notes += [f"damaged ({damage})"] if damage else []
    return replace(_squared(len(packets), picture, mean_rate(packets), not changes), notes=tuple(notes))


def _decode_listing(
    recording: Recording, stream: int, frame_seconds: float, binary: str, until_damage: bool = False
) -> Finished:
    """framecrc's listing of a stream's decoded frames, each as it comes."""
    import ffmpeg

    options = {"err_detect": "explode"} if until_damage else {}
    node = frames_of(recording, stream, frame_seconds, threads=1, **options)
    if recording.is_part:  # begins at half a frame, whose multiples the output's time base would round either way
        node = node.filter("setpts", "PTS-STARTPTS")
    # Without a scaler a frame of another size keeps it, and its line says so.
    output = ffmpeg.output(node, "pipe:", format="framecrc", fps_mode="passthrough", threads=1, noautoscale=None)
    output = output.global_args("-hide_banner", "-nostdin", "-loglevel", "level+info")
    command = ffmpeg.compile(output.global_args("-xerror") if until_damage else output, cmd=binary)
    return capture(command, TIME_LIMIT, recording.path)


def damaged(recording: Recording, stream: int, frame_seconds: float, binary: str, reason: str) -> str:
    """What to tell of a clip whose decoder complained: the frame, where the decoder can be made to stop there."""
    done = _decode_listing(recording, stream, frame_seconds, binary, until_damage=True)
    before = len(listed(done.stdout.decode()).get(0, []))
    where = f"at frame {before}" if done.status and before else "inside"
    return (
        f"{recording.path}: damaged {where} ({reason}); copy or download it again, "
        "or take it as it is with `pipeline run --damaged take`"
    )
