"""What FFmpeg says of a video."""

import re
import subprocess
import time
import uuid
from pathlib import Path

import pytest
from clip_making import hanging_ffmpeg, make_clip, make_pattern
from driving import processes_of, wait_until

from pipeline import video as module
from pipeline.failure import ClipError
from pipeline.video import Video, ffmpeg_binary, probe


@pytest.fixture
def clip(ffmpeg: str, tmp_path: Path) -> str:
    make_clip(ffmpeg, tmp_path / "a.mp4", 12)
    return str(tmp_path / "a.mp4")


def test_probe(ffmpeg: str, clip: str, tmp_path: Path) -> None:
    slow = make_pattern(
        ffmpeg, tmp_path / "slow.mp4", "-r", "12.5", "-frames:v", "5", "-pix_fmt", "yuv420p", size="64x48"
    )
    assert probe([clip, slow], ffmpeg) == [Video(12, 160, 120, 30.0), Video(5, 64, 48, 12.5)]
    one = make_pattern(ffmpeg, tmp_path / "one.mp4", "-frames:v", "1", "-pix_fmt", "yuv420p")
    assert probe([one], ffmpeg) == [Video(1, 160, 120, 30.0)]


def test_probe_counts_every_frame_of_a_variable_rate(ffmpeg: str, tmp_path: Path) -> None:
    # Frames 0, 1, 2, 10, 20, 30 of a second: 5 intervals in 30/30 s.
    select = "select=lt(n\\,3)+eq(n\\,10)+eq(n\\,20)+eq(n\\,30)"
    path = make_pattern(ffmpeg, tmp_path / "v.mp4", "-vf", select, "-fps_mode", "vfr", "-pix_fmt", "yuv420p")
    (video,) = probe([path], ffmpeg)
    assert (video.frames, video.fps) == (6, pytest.approx(5.0, abs=0.01))


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


def test_rotation_turns_the_size(ffmpeg: str, clip: str, tmp_path: Path) -> None:
    turned = str(tmp_path / "turned.mp4")
    command = [ffmpeg, "-loglevel", "error", "-display_rotation", "90", "-i", clip, "-c", "copy", turned]
    subprocess.run(command, check=True)
    (video,) = probe([turned], ffmpeg)
    assert (video.width, video.height) == (120, 160)
    # Of two inputs the log belongs to the right one.
    assert [(v.width, v.height) for v in probe([clip, turned], ffmpeg)] == [(160, 120), (120, 160)]


def test_a_time_limit_ends_ffmpeg_and_what_it_started(clip: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(module, "TIME_LIMIT", 0.3)
    marker = uuid.uuid4().hex
    binary = hanging_ffmpeg(tmp_path, marker)
    start = time.monotonic()
    said = re.escape(f"{clip}: {binary} did not finish in 0.3 s")
    with pytest.raises(ClipError, match=said):
        probe([clip], binary)
    assert time.monotonic() - start < 5
    wait_until(lambda: not processes_of(marker), 5)


def test_no_ffmpeg_there(clip: str) -> None:
    with pytest.raises(ClipError, match="/nonexistent: cannot be started"):
        probe([clip], "/nonexistent")
    assert ffmpeg_binary("/named") == "/named"
    assert Path(ffmpeg_binary()).is_file()
