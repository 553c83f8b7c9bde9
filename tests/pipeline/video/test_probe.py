"""What FFmpeg says of a video."""

import re
import shutil
import subprocess
import time
import uuid
from pathlib import Path

import pytest
from helpers.data.clip_making import hanging_ffmpeg, make_clip, make_pattern
from helpers.processes.pipeline_runs import processes_of, wait_until

from pipeline.errors import ClipError
from pipeline.video import probe as module
from pipeline.video.decode import WantedStream, decode
from pipeline.video.encode import copy_plain
from pipeline.video.probe import probe
from pipeline.video.program import ffmpeg_binary, named_ffmpeg, reason_of, refuse_old
from pipeline.video.recording import Recording
from pipeline.workspace.clip import Video
from shards.errors import InputError


@pytest.fixture
def clip(ffmpeg: str, tmp_path: Path) -> str:
    make_clip(ffmpeg, tmp_path / "a.mp4", 12)
    return str(tmp_path / "a.mp4")


def test_probe(ffmpeg: str, clip: str, tmp_path: Path) -> None:
    slow = make_pattern(
        ffmpeg, tmp_path / "slow.mp4", "-r", "12.5", "-frames:v", "5", "-pix_fmt", "yuv420p", size="64x48"
    )
    assert probe([Recording(clip), Recording(slow)], ffmpeg) == [Video(12, 160, 120, 30.0), Video(5, 64, 48, 12.5)]
    one = make_pattern(ffmpeg, tmp_path / "one.mp4", "-frames:v", "1", "-pix_fmt", "yuv420p")
    single = Video(1, 160, 120, 30.0, notes=("a single frame, in which nothing moves",))
    assert probe([Recording(one)], ffmpeg) == [single]
    assert probe([Recording(one), Recording(one)], ffmpeg) == [single, single]  # a manifest may name a file twice


def test_probe_counts_every_frame_of_a_variable_rate(ffmpeg: str, tmp_path: Path) -> None:
    # Frames 0, 1, 2, 10, 20, 30 of a second: 5 intervals in 30/30 s.
    select = "select=lt(n\\,3)+eq(n\\,10)+eq(n\\,20)+eq(n\\,30)"
    path = make_pattern(ffmpeg, tmp_path / "v.mp4", "-vf", select, "-fps_mode", "vfr", "-pix_fmt", "yuv420p")
    (video,) = probe([Recording(path)], ffmpeg)
    assert (video.frames, video.fps) == (6, pytest.approx(5.0, abs=0.01))


def test_probe_names_the_one_that_is_wrong(ffmpeg: str, clip: str, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("not a video\n" * 50)
    empty = tmp_path / "empty.mp4"
    empty.touch()
    for wrong, said in ((text, "not a readable video"), (empty, "empty file"), (tmp_path / "none.mp4", "no such file")):
        with pytest.raises(ClipError, match=rf"{wrong}: {said}"):
            probe([Recording(clip), Recording(str(wrong))], ffmpeg)


_DASH = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT1S" '
    'profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period><AdaptationSet contentType="video">'
    '<Representation id="1" bandwidth="1" mimeType="video/mp4"><BaseURL>file://{}</BaseURL><SegmentBase/>'
    "</Representation></AdaptationSet></Period></MPD>"
)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x_color.mp4", _DASH),
        ("x_color.mp4", "ffconcat version 1.0\nfile a.mp4\n"),
        ("x.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile://{}\n#EXT-X-ENDLIST\n"),
        ("x%03d.jpg", None),
    ],
)
def test_a_file_that_names_others_opens_none(
    ffmpeg: str, clip: str, tmp_path: Path, name: str, content: str | None
) -> None:
    path = tmp_path / name
    if content is None:  # to FFmpeg, the pictures x000.jpg, x001.jpg, …
        subprocess.run([ffmpeg, "-loglevel", "error", "-i", clip, str(path)], check=True)
        shutil.copy(tmp_path / "x001.jpg", path)
    else:
        path.write_text(content.format(clip))
    # Without the whitelists FFmpeg shows what is there.
    assert subprocess.run([ffmpeg, "-loglevel", "error", "-i", str(path), "-f", "null", "-"]).returncode == 0
    (video,) = probe([Recording(clip)], ffmpeg)
    recording = Recording(str(path))
    for opens in (
        lambda: probe([recording], ffmpeg),
        lambda: list(decode([WantedStream(recording, video, "rgb")], ffmpeg)),
        lambda: copy_plain(recording, video, tmp_path / "copy.mkv", ffmpeg),
    ):
        with pytest.raises(ClipError, match="it is no recorded video: a list of other files"):
            opens()


def test_a_name_is_no_url(ffmpeg: str) -> None:
    with pytest.raises(ClipError, match=r"http://127.0.0.1:9/a.mp4: no such file"):
        probe([Recording("http://127.0.0.1:9/a.mp4")], ffmpeg)


def test_rotation_turns_the_size(ffmpeg: str, clip: str, tmp_path: Path) -> None:
    turned = str(tmp_path / "turned.mp4")
    command = [ffmpeg, "-loglevel", "error", "-display_rotation", "90", "-i", clip, "-c", "copy", turned]
    subprocess.run(command, check=True)
    (video,) = probe([Recording(turned)], ffmpeg)
    assert (video.width, video.height) == (120, 160)
    # Of two inputs the log belongs to the right one, and the output's section to none.
    assert [(v.width, v.height) for v in probe([Recording(clip), Recording(turned)], ffmpeg)] == [
        (160, 120),
        (120, 160),
    ]
    assert [(v.width, v.height) for v in probe([Recording(turned), Recording(clip)], ffmpeg)] == [
        (120, 160),
        (160, 120),
    ]


@pytest.mark.parametrize(
    "comment", ["rotation of 90", "Display Matrix: rotation of 90", "a\nDisplay Matrix: rotation of 90"]
)
def test_a_comment_turns_nothing(ffmpeg: str, clip: str, tmp_path: Path, comment: str) -> None:
    noted = str(tmp_path / "noted.mp4")
    command = [ffmpeg, "-loglevel", "error", "-i", clip, "-metadata", f"comment={comment}", "-c", "copy", noted]
    subprocess.run(command, check=True)
    assert probe([Recording(noted)], ffmpeg) == [Video(12, 160, 120, 30.0)]


def test_frames_without_a_presentation_time(ffmpeg: str, tmp_path: Path) -> None:
    """MPEG-4 with B-frames in AVI: 4 of 10 packets have a decoding time only."""
    path = make_pattern(ffmpeg, tmp_path / "b.avi", "-frames:v", "10", "-c:v", "mpeg4", "-bf", "2")
    (video,) = probe([Recording(path)], ffmpeg)
    assert video == Video(10, 160, 120, 30.0)
    assert sum(1 for _ in decode([WantedStream(Recording(path), video, "gray")], ffmpeg)) == 10


def test_frames_that_a_trim_hides_do_not_count(ffmpeg: str, tmp_path: Path) -> None:
    """A cut without encoding keeps the packets from the key frame on; an edit list says where the clip starts."""
    whole = make_pattern(ffmpeg, tmp_path / "whole.mp4", "-frames:v", "24", "-g", "12", "-pix_fmt", "yuv420p")
    trimmed = str(tmp_path / "trimmed.mp4")
    subprocess.run([ffmpeg, "-loglevel", "error", "-ss", "0.6", "-i", whole, "-c", "copy", trimmed], check=True)
    videos = probe([Recording(trimmed), Recording(whole)], ffmpeg)
    assert videos == [Video(6, 160, 120, 30.0), Video(24, 160, 120, 30.0)]
    assert sum(1 for _ in decode([WantedStream(Recording(trimmed), videos[0], "gray")], ffmpeg)) == 6


def test_a_time_limit_ends_ffmpeg_and_what_it_started(clip: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(module, "TIME_LIMIT", 0.3)
    marker = uuid.uuid4().hex
    binary = hanging_ffmpeg(tmp_path, marker)
    start = time.monotonic()
    said = re.escape(f"{clip}: {binary} did not finish in 0.3 s")
    with pytest.raises(ClipError, match=said):
        probe([Recording(clip)], binary)
    assert time.monotonic() - start < 5
    wait_until(lambda: not processes_of(marker), 5)


def test_no_ffmpeg_there(clip: str) -> None:
    with pytest.raises(ClipError, match="/nonexistent: cannot be started"):
        probe([Recording(clip)], "/nonexistent")
    with pytest.raises(InputError, match="/nonexistent: no such program; --ffmpeg names FFmpeg's binary"):
        named_ffmpeg("/nonexistent")


@pytest.mark.parametrize(
    ("version", "too_old"),
    [("4.4.2-0ubuntu0.22.04.1", True), ("n5.0", True), ("5.1.6-0+deb12u1", False), ("7.0", False), ("N-1-g0", False)],
)
def test_an_ffmpeg_that_is_too_old(tmp_path: Path, version: str, too_old: bool) -> None:
    binary = tmp_path / "ffmpeg"
    binary.write_text(f"#!/bin/sh\necho 'ffmpeg version {version} Copyright (c) 2000-2023 the FFmpeg developers'\n")
    binary.chmod(0o755)
    if too_old:
        with pytest.raises(InputError, match=r"ffmpeg: is version [45]\.\d; .* names FFmpeg's binary, 5\.1 or later"):
            refuse_old(str(binary))
    else:
        refuse_old(str(binary))


def test_the_ffmpeg_of_the_environment_is_not_too_old(ffmpeg: str) -> None:
    refuse_old(ffmpeg)


def test_an_ffmpeg_that_does_not_run(tmp_path: Path) -> None:
    (tmp_path / "ffmpeg").write_bytes(b"\x7fELF of another machine")
    (tmp_path / "ffmpeg").chmod(0o755)
    for path in (tmp_path / "ffmpeg", tmp_path / "none"):
        with pytest.raises(InputError, match=f"{path}: does not run"):
            refuse_old(str(path))


def test_an_option_that_ffmpeg_does_not_know_is_the_reason(ffmpeg: str) -> None:
    done = subprocess.run(
        [ffmpeg, "-loglevel", "level+info", "-such_an_option", "1", "-i", "x", "y"], capture_output=True, text=True
    )
    assert reason_of(done.stderr) == "Unrecognized option 'such_an_option'."


def test_a_named_ffmpeg_has_an_absolute_path(ffmpeg: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").symlink_to(ffmpeg)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", ".")
    assert named_ffmpeg("./mine") == named_ffmpeg("mine") == str(tmp_path / "mine")
    assert ffmpeg_binary("/named") == "/named"
    assert Path(ffmpeg_binary()).is_file()
