"""What FFmpeg says of a video, and its frames."""

import os
import re
import subprocess
import time
import uuid
from pathlib import Path

import numpy as np
import pytest
from clip_making import make_clip
from driving import processes_of, wait_until

from pipeline import video as module
from pipeline.failure import ClipError
from pipeline.video import Region, Video, decode, ffmpeg_binary, planes, probe


def make(ffmpeg: str, path: Path, *arguments: str, size: str = "160x120") -> str:
    command = [
        ffmpeg,
        "-loglevel",
        "error",
        "-y",
        "-f",
        "lavfi",
        "-i",
        f"testsrc2=size={size}:rate=30:duration=2",
        *arguments,
    ]
    subprocess.run([*command, "-preset", "ultrafast", str(path)], check=True, timeout=30)
    return str(path)


def raw(ffmpeg: str, path: str, *arguments: str) -> bytes:
    """The frames as FFmpeg itself writes them."""
    command = [ffmpeg, "-loglevel", "error", "-i", path, *arguments, "-fps_mode", "passthrough", "-f", "rawvideo", "-"]
    return subprocess.run(command, check=True, capture_output=True).stdout


@pytest.fixture
def clip(ffmpeg: str, tmp_path: Path) -> str:
    make_clip(ffmpeg, tmp_path / "a.mp4", 12)
    return str(tmp_path / "a.mp4")


def test_probe(ffmpeg: str, clip: str, tmp_path: Path) -> None:
    slow = make(ffmpeg, tmp_path / "slow.mp4", "-r", "12.5", "-frames:v", "5", "-pix_fmt", "yuv420p", size="64x48")
    assert probe([clip, slow], ffmpeg) == [Video(12, 160, 120, 30.0), Video(5, 64, 48, 12.5)]
    one = make(ffmpeg, tmp_path / "one.mp4", "-frames:v", "1", "-pix_fmt", "yuv420p")
    assert probe([one], ffmpeg) == [Video(1, 160, 120, 30.0)]


def test_probe_counts_every_frame_of_a_variable_rate(ffmpeg: str, tmp_path: Path) -> None:
    # Frames 0, 1, 2, 10, 20, 30 of a second: 5 intervals in 30/30 s.
    select = "select=lt(n\\,3)+eq(n\\,10)+eq(n\\,20)+eq(n\\,30)"
    path = make(ffmpeg, tmp_path / "v.mp4", "-vf", select, "-fps_mode", "vfr", "-pix_fmt", "yuv420p")
    (video,) = probe([path], ffmpeg)
    assert (video.frames, video.fps) == (6, pytest.approx(5.0, abs=0.01))
    assert len(list(decode(path, video, "grey", ffmpeg))) == 6


def test_probe_names_the_one_that_is_wrong(ffmpeg: str, clip: str, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("not a video\n" * 50)
    empty = tmp_path / "empty.mp4"
    empty.touch()
    for wrong, said in ((text, "not a readable video"), (empty, "empty file"), (tmp_path / "none.mp4", "no such file")):
        with pytest.raises(ClipError, match=rf"{wrong}: {said}"):
            probe([clip, str(wrong)], ffmpeg)


def test_a_playlist_opens_nothing(ffmpeg: str, clip: str, tmp_path: Path) -> None:
    playlist = tmp_path / "list.mp4"
    playlist.write_text(f"#EXTM3U\n#EXTINF:1,\nfile://{clip}\n#EXT-X-ENDLIST\n")
    with pytest.raises(ClipError, match="not a readable video"):
        probe([str(playlist)], ffmpeg)
    with pytest.raises(ClipError, match=r"http://127.0.0.1:9/a.mp4: no such file"):
        probe(["http://127.0.0.1:9/a.mp4"], ffmpeg)


@pytest.mark.parametrize("size", ["160x120", "162x122"])
def test_decode_gives_ffmpegs_own_frames(ffmpeg: str, tmp_path: Path, size: str) -> None:
    path = make(ffmpeg, tmp_path / "a.mp4", "-frames:v", "4", "-pix_fmt", "yuv420p", size=size)
    (video,) = probe([path], ffmpeg)
    frames = b"".join(frame.tobytes() for frame in decode(path, video, "rgb", ffmpeg))
    assert frames == raw(ffmpeg, path, "-pix_fmt", "rgb24")
    for kind, pixel_format in (("grey", "gray"), ("planes", "yuvj420p")):
        frames = np.concatenate([frame.copy() for frame in decode(path, video, kind, ffmpeg)])
        theirs = np.frombuffer(raw(ffmpeg, path, "-pix_fmt", pixel_format), np.uint8)
        # FFmpeg stretches limited range to full with its own rounding.
        assert frames.shape == theirs.shape
        assert abs(frames.astype(int) - theirs).max() <= 1


# Not "rgb": there the conversion looks at neighbours, and nobody asks for a region.
@pytest.mark.parametrize("kind", ["grey", "planes"])
def test_a_region_is_a_part_of_the_frame(ffmpeg: str, clip: str, kind: str) -> None:
    region, video = Region(20, 34, 61, 43), Video(12, 160, 120, 30)
    cut = [frame.copy() for frame in decode(clip, video, kind, ffmpeg, region)]
    whole = [frame.copy() for frame in decode(clip, video, kind, ffmpeg)]
    assert len(cut) == len(whole) == 12
    rows, columns = slice(34, 34 + 43), slice(20, 20 + 61)
    for part, frame in zip(cut, whole, strict=True):
        if kind == "planes":
            parts, frames = planes(part, 61, 43), planes(frame, 160, 120)
            places = [(rows, columns)] + [(slice(17, 17 + 22), slice(10, 10 + 31))] * 2
        else:
            parts, frames, places = [part.reshape(43, 61)], [frame.reshape(120, 160)], [(rows, columns)]
        for ours, theirs, place in zip(parts, frames, places, strict=True):
            np.testing.assert_array_equal(ours, theirs[place])


def test_planes_have_the_colours_of_the_picture(ffmpeg: str, tmp_path: Path) -> None:
    # Pure red at full range, BT.601: Y 76, Cb 85, Cr 255 (JFIF 1.02, §7).
    source = ["-f", "lavfi", "-i", "color=red:size=161x121:rate=30", "-frames:v", "1"]
    path = str(tmp_path / "red.mp4")
    colours = ["-vf", "scale=out_color_matrix=bt709:out_range=limited", "-colorspace", "bt709", "-color_range", "tv"]
    command = [ffmpeg, "-loglevel", "error", *source, *colours, "-pix_fmt", "yuv444p", "-qp", "0", path]
    subprocess.run(command, check=True)
    (video,) = probe([path], ffmpeg)
    assert (video.width, video.height) == (161, 121)
    (frame,) = [frame.copy() for frame in decode(path, video, "planes", ffmpeg)]
    y, u, v = planes(frame, 161, 121)
    assert (y.shape, u.shape, v.shape) == ((121, 161), (61, 81), (61, 81))
    for plane, value in ((y, 76), (u, 85), (v, 255)):
        assert abs(plane.astype(int) - value).max() <= 2


def test_rotation_is_applied(ffmpeg: str, clip: str, tmp_path: Path) -> None:
    turned = str(tmp_path / "turned.mp4")
    command = [ffmpeg, "-loglevel", "error", "-display_rotation", "90", "-i", clip, "-c", "copy", turned]
    subprocess.run(command, check=True)
    (video,) = probe([turned], ffmpeg)
    assert (video.width, video.height) == (120, 160)
    # Of two inputs the log belongs to the right one.
    assert [(v.width, v.height) for v in probe([clip, turned], ffmpeg)] == [(160, 120), (120, 160)]
    upright = next(decode(clip, Video(12, 160, 120, 30), "grey", ffmpeg)).reshape(120, 160)
    frame = next(decode(turned, video, "grey", ffmpeg)).reshape(160, 120)
    np.testing.assert_array_equal(frame, np.rot90(upright, 1))


def test_decode_says_when_the_count_is_wrong(ffmpeg: str, clip: str) -> None:
    with pytest.raises(ClipError, match="decodes to more frames, its container lists 10"):
        list(decode(clip, Video(10, 160, 120, 30), "grey", ffmpeg))
    with pytest.raises(ClipError, match="decodes to 12 frames, its container lists 13"):
        list(decode(clip, Video(13, 160, 120, 30), "grey", ffmpeg))


def hanging(folder: Path, marker: str) -> str:
    """An FFmpeg that hangs, and has started something that hangs."""
    path = folder / "ffmpeg"
    path.write_text(f"#!/bin/sh\nexport TEST_MARKER={marker}\nsleep 60 &\nsleep 60\n")
    path.chmod(0o755)
    return str(path)


def test_a_time_limit_ends_ffmpeg_and_what_it_started(clip: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(module, "TIME_LIMIT", 0.3)
    marker = uuid.uuid4().hex
    binary = hanging(tmp_path, marker)
    start = time.monotonic()
    said = re.escape(f"{clip}: {binary} did not finish in 0.3 s")
    with pytest.raises(ClipError, match=said):
        probe([clip], binary)
    with pytest.raises(ClipError, match=said):
        list(decode(clip, Video(12, 160, 120, 30), "grey", binary))
    assert time.monotonic() - start < 5
    wait_until(lambda: not processes_of(marker), 5)


def test_a_reader_that_stops_early_leaves_no_ffmpeg(ffmpeg: str, clip: str, monkeypatch) -> None:
    marker = uuid.uuid4().hex
    monkeypatch.setitem(os.environ, "TEST_MARKER", marker)
    frames = decode(clip, Video(12, 160, 120, 30), "rgb", ffmpeg)
    next(frames)
    assert any("rawvideo" in line for line in processes_of(marker))
    frames.close()
    assert not any("rawvideo" in line for line in processes_of(marker))


def test_no_ffmpeg_there(clip: str) -> None:
    with pytest.raises(ClipError, match="/nonexistent: cannot be started"):
        probe([clip], "/nonexistent")
    assert ffmpeg_binary("/named") == "/named"
    assert Path(ffmpeg_binary()).is_file()
