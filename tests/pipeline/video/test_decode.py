"""Frames of one video and of two at once, against FFmpeg's own."""

import os
import re
import subprocess
import time
import uuid
from pathlib import Path

import numpy as np
import pytest
from helpers.data.clip_making import hanging_ffmpeg, make_clip, make_pattern
from helpers.processes.pipeline_runs import processes_of, wait_until

from pipeline.errors import ClipError
from pipeline.video import decode as module
from pipeline.video.decode import Region, WantedStream, decode, planes
from pipeline.video.probe import probe
from pipeline.video.recording import Recording
from pipeline.workspace.clip import Video

VIDEO = Video(12, 160, 120, 30)


def raw(ffmpeg: str, path: str, *arguments: str) -> bytes:
    """The frames as FFmpeg itself writes them."""
    command = [ffmpeg, "-loglevel", "error", "-i", path, *arguments, "-fps_mode", "passthrough", "-f", "rawvideo", "-"]
    return subprocess.run(command, check=True, capture_output=True).stdout


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def frames_of(wanted: list[tuple], video: Video, ffmpeg: str) -> list[list[np.ndarray]]:
    """Per stream its frames."""
    frames = [[] for _ in wanted]
    streams = [WantedStream(Recording(path), video, *rest) for path, *rest in wanted]
    for number, frame in decode(streams, ffmpeg):
        frames[number].append(frame.copy())
    return frames


@pytest.fixture
def clip(ffmpeg: str, tmp_path: Path) -> str:
    make_clip(ffmpeg, tmp_path / "a.mp4", 12)
    return str(tmp_path / "a.mp4")


@pytest.mark.parametrize("size", ["160x120", "162x122"])
@pytest.mark.parametrize(("kind", "pixel_format"), [("rgb", "rgb24"), ("planes", "yuv420p")])
def test_frames_are_ffmpegs_own(ffmpeg: str, tmp_path: Path, size: str, kind: str, pixel_format: str) -> None:
    path = make_pattern(ffmpeg, tmp_path / "a.mp4", "-frames:v", "4", "-pix_fmt", "yuv420p", size=size)
    (frames,) = frames_of([(path, kind)], probe([Recording(path)], ffmpeg)[0], ffmpeg)
    assert b"".join(frame.tobytes() for frame in frames) == raw(ffmpeg, path, "-pix_fmt", pixel_format)


def test_every_frame_of_a_variable_rate_comes(ffmpeg: str, tmp_path: Path) -> None:
    select = "select='eq(n,0)+eq(n,1)+eq(n,2)+eq(n,20)+eq(n,21)+eq(n,30)'"
    path = make_pattern(ffmpeg, tmp_path / "v.mp4", "-vf", select, "-fps_mode", "vfr", "-pix_fmt", "yuv420p")
    assert len(frames_of([(path, "gray")], Video(6, 160, 120, 5), ffmpeg)[0]) == 6


def test_full_range_videos_are_brought_to_limited_range(ffmpeg: str, tmp_path: Path) -> None:
    path = make_pattern(ffmpeg, tmp_path / "a.mp4", "-frames:v", "2", "-pix_fmt", "yuvj420p")
    (frames,) = frames_of([(path, "gray")], Video(2, 160, 120, 30), ffmpeg)
    full = np.frombuffer(raw(ffmpeg, path, "-pix_fmt", "yuvj420p"), np.uint8).reshape(2, -1)[:, : 160 * 120]
    assert np.abs(np.stack(frames) - (full * (219 / 255) + 16)).max() <= 1


# Not "rgb": there the conversion looks at neighbours, and nobody asks for a region.
@pytest.mark.parametrize("kind", ["gray", "planes"])
def test_a_region_is_a_part_of_the_frame(ffmpeg: str, clip: str, kind: str) -> None:
    cut, whole = frames_of([(clip, kind, Region(20, 34, 61, 43)), (clip, kind)], VIDEO, ffmpeg)
    assert len(cut) == len(whole) == 12
    rows, columns = slice(34, 34 + 43), slice(20, 20 + 61)
    for part, frame in zip(cut, whole, strict=True):
        if kind == "planes":
            parts, frames = planes(part, 61, 43), planes(frame, 160, 120)
            places = [(rows, columns)] + [(slice(17, 17 + 22), slice(10, 10 + 31))] * 2
        else:
            parts, frames, places = [part.reshape(43, 61)], [frame.reshape(120, 160)], [(rows, columns)]
        for one, other, place in zip(parts, frames, places, strict=True):
            np.testing.assert_array_equal(one, other[place])


def test_planes_have_the_colours_of_the_picture(ffmpeg: str, tmp_path: Path) -> None:
    # Pure red at full range, BT.601: Y 76, Cb 85, Cr 255 (JFIF 1.02, §7).
    source = ["-f", "lavfi", "-i", "color=red:size=161x121:rate=30", "-frames:v", "1"]
    path = str(tmp_path / "red.mp4")
    colours = ["-vf", "scale=out_color_matrix=bt709:out_range=limited", "-colorspace", "bt709", "-color_range", "tv"]
    command = [ffmpeg, "-loglevel", "error", *source, *colours, "-pix_fmt", "yuv444p", "-qp", "0", path]
    subprocess.run(command, check=True)
    (video,) = probe([Recording(path)], ffmpeg)
    assert (video.width, video.height) == (161, 121)
    ((frame,),) = frames_of([(path, "planes")], video, ffmpeg)
    y, u, v = planes(frame, 161, 121)
    assert (y.shape, u.shape, v.shape) == ((121, 161), (61, 81), (61, 81))
    for plane, value in ((y, 81), (u, 90), (v, 240)):
        assert abs(plane.astype(int) - value).max() <= 2


def test_rotation_is_applied(ffmpeg: str, clip: str, tmp_path: Path) -> None:
    turned = str(tmp_path / "turned.mp4")
    command = [ffmpeg, "-loglevel", "error", "-display_rotation", "90", "-i", clip, "-c", "copy", turned]
    subprocess.run(command, check=True)
    (upright,) = frames_of([(clip, "gray")], VIDEO, ffmpeg)
    (frames,) = frames_of([(turned, "gray")], Video(12, 120, 160, 30), ffmpeg)
    for frame, other in zip(frames, upright, strict=True):
        np.testing.assert_array_equal(frame.reshape(160, 120), np.rot90(other.reshape(120, 160), 1))


def test_two_videos_at_once_give_what_they_give_alone(ffmpeg: str, tmp_path: Path) -> None:
    # Many frames, larger together than what pipes hold, of files whose time stamps run apart.
    passed_on = ("-fps_mode", "passthrough", "-pix_fmt", "yuv420p")
    fast, slow = (
        make_pattern(ffmpeg, tmp_path / f"{rate}.mp4", "-vf", f"setpts=N/{rate}/TB", *passed_on) for rate in ("60", "7")
    )
    video = Video(60, 160, 120, 60)
    together = frames_of([(fast, "planes"), (slow, "rgb")], video, ffmpeg)
    alone = frames_of([(fast, "planes")], video, ffmpeg) + frames_of([(slow, "rgb")], video, ffmpeg)
    for one, other in zip(together, alone, strict=True):
        assert len(one) == len(other) == 60
        np.testing.assert_array_equal(one, other)


def test_a_wrong_count_is_named(ffmpeg: str, clip: str) -> None:
    with pytest.raises(ClipError, match="decodes to more frames, where 10 were counted"):
        frames_of([(clip, "gray")], Video(10, 160, 120, 30), ffmpeg)
    with pytest.raises(ClipError, match="decodes to 12 frames, where 13 were counted"):
        frames_of([(clip, "gray")], Video(13, 160, 120, 30), ffmpeg)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("wrong", ["short", "unreadable"])
def test_of_two_videos_the_wrong_one_is_named(ffmpeg: str, clip: str, tmp_path: Path, number: int, wrong: str) -> None:
    other = tmp_path / "other.mp4"
    if wrong == "short":
        make_clip(ffmpeg, other, 11)
    else:
        other.write_bytes(Path(clip).read_bytes()[:2000])
    streams = [(clip, "planes"), (clip, "gray")]
    streams[number] = (str(other), "gray")
    with pytest.raises(ClipError, match=f"^{re.escape(str(other))}: decodes to"):
        frames_of(streams, VIDEO, ffmpeg)


def test_a_time_limit_ends_ffmpeg_and_what_it_started(clip: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(module, "TIME_LIMIT", 0.3)
    marker = uuid.uuid4().hex
    binary = hanging_ffmpeg(tmp_path, marker)
    start = time.monotonic()
    with pytest.raises(ClipError, match=re.escape(f"{clip}: {binary} gave nothing for 0.3 s")):
        frames_of([(clip, "gray"), (clip, "gray")], VIDEO, binary)
    assert time.monotonic() - start < 5
    wait_until(lambda: not processes_of(marker), 5)


def test_the_time_limit_is_ffmpegs_and_not_that_of_who_takes_the_frames(
    ffmpeg: str, tmp_path: Path, monkeypatch
) -> None:
    clip = str(tmp_path / "long.mp4")  # more than pipes hold, so that FFmpeg waits for us
    make_clip(ffmpeg, Path(clip), 60)
    monkeypatch.setattr(module, "TIME_LIMIT", 0.5)
    count = 0
    for _ in decode([WantedStream(Recording(clip), Video(60, 160, 120, 30), "rgb")], ffmpeg):
        if not count:
            time.sleep(1)
        count += 1
    assert count == 60


def test_a_reader_that_stops_early_leaves_no_ffmpeg(ffmpeg: str, tmp_path: Path, monkeypatch) -> None:
    clip = str(tmp_path / "long.mp4")  # more than pipes hold
    make_clip(ffmpeg, Path(clip), 60)
    marker = uuid.uuid4().hex
    monkeypatch.setitem(os.environ, "TEST_MARKER", marker)
    before = open_files()
    video = Video(60, 160, 120, 30)
    frames = decode([WantedStream(Recording(clip), video, kind) for kind in ("rgb", "gray")], ffmpeg)
    next(frames)
    assert any("rawvideo" in line for line in processes_of(marker))
    frames.close()
    assert not any("rawvideo" in line for line in processes_of(marker))
    assert open_files() == before


def test_no_ffmpeg_there(clip: str) -> None:
    before = open_files()
    with pytest.raises(ClipError, match="/nonexistent: cannot be started"):
        frames_of([(clip, "rgb")], VIDEO, "/nonexistent")
    assert open_files() == before
