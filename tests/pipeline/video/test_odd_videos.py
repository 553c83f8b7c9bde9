"""Videos whose packets are not their frames, that are cut, damaged, turned, or hold more than one stream.

The clips in tests/data/clips are generated (colored squares on a moving ground), each as a public bug report has it.
"""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ClipError
from pipeline.video.decode import Region, WantedStream, decode
from pipeline.video.probe import probe
from pipeline.video.recording import Recording

CLIPS = Path(__file__).parents[2] / "data" / "clips"
# Frames, width, height and stream, as FFmpeg, PyAV and OpenCV decode them.
SOUND = {
    "avi-notcoded-vops.avi": (16, 160, 120, 0),
    "avif-animated.avif": (16, 160, 120, 1),
    "cover-first-mkv.mkv": (24, 160, 120, 1),
    "flv1-swf.swf": (16, 160, 120, 0),
    "growing-vp8.webm": (16, 160, 120, 0),
    "growing-vp9.webm": (16, 160, 120, 0),
    "h264-intra-refresh-cut.mkv": (12, 160, 120, 0),
    "h264-open-gop-cut.mkv": (28, 160, 120, 0),
    "hdr-hlg.mp4": (16, 160, 120, 0),
    "hevc-open-gop-sscopy.mkv": (28, 160, 120, 0),
    "interlaced-mpeg2.mpg": (16, 160, 120, 0),
    "mpeg2-cut.mpg": (19, 160, 120, 0),
    "paff-mts.mts": (12, 96, 64, 0),
    "rotated-second-stream.mp4": (12, 160, 120, 0),
    "rotated-sei.mp4": (12, 120, 160, 0),
    "sar-anamorphic.mp4": (16, 284, 120, 0),
    "vp8-altref.webm": (40, 160, 120, 0),
}
CUT = sorted(path.name for path in CLIPS.glob("truncated-*"))


def whole_frames(path: Path, ffmpeg: str, kind: str = "gray", region: Region | None = None) -> list[np.ndarray]:
    (video,) = probe([Recording(str(path))], ffmpeg)
    stream = WantedStream(Recording(str(path)), video, kind, region)
    return [frame.copy() for _, frame in decode([stream], ffmpeg)]


@pytest.mark.parametrize("name", SOUND)
def test_frames_are_what_is_decoded(name: str, ffmpeg: str) -> None:
    (video,) = probe([Recording(str(CLIPS / name))], ffmpeg)
    assert (video.frames, video.width, video.height, video.stream) == SOUND[name]
    frames = whole_frames(CLIPS / name, ffmpeg)
    assert [len(frame) for frame in frames] == [video.width * video.height] * video.frames


@pytest.mark.parametrize("name", ["growing-vp8.webm", "growing-vp9.webm", "sar-anamorphic.mp4"])
def test_pixels_lie_where_the_first_picture_has_them(name: str, ffmpeg: str, tmp_path: Path) -> None:
    """Against pictures that FFmpeg writes frame by frame, each in the size that it has, and Pillow scales."""
    from PIL import Image

    (video,) = probe([Recording(str(CLIPS / name))], ffmpeg)
    frames = whole_frames(CLIPS / name, ffmpeg)
    for number in (0, video.frames // 2 - 1, video.frames // 2, video.frames - 1):
        path = tmp_path / f"{number}.png"
        # A process for each, since the pictures of one all have the size of the first.
        start = ["-ss", f"{number / 25:.3f}", "-i", str(CLIPS / name)]
        subprocess.run([ffmpeg, "-loglevel", "error", *start, "-frames:v", "1", str(path)], check=True)
        picture = Image.open(path).convert("L").resize((video.width, video.height), Image.Resampling.BICUBIC)
        # "gray" is limited range: 16 to 235.
        found = (frames[number].reshape(video.height, video.width).astype(float) - 16) / 219 * 255
        assert np.abs(found - np.asarray(picture, float)).mean() < 6


@pytest.mark.parametrize("name", ["growing-vp8.webm", "rotated-sei.mp4"])
def test_a_region_is_that_part_of_the_whole_frame(name: str, ffmpeg: str) -> None:
    (video,) = probe([Recording(str(CLIPS / name))], ffmpeg)
    region = Region(20, 30, 48, 52)
    whole, parts = (whole_frames(CLIPS / name, ffmpeg, region=part) for part in (None, region))
    for frame, part in zip(whole, parts, strict=True):
        expected = frame.reshape(video.height, video.width)[30:82, 20:68]
        np.testing.assert_array_equal(part.reshape(52, 48), expected)


@pytest.mark.parametrize("name", CUT)
def test_a_clip_that_is_cut_short_is_named(name: str, ffmpeg: str) -> None:
    with pytest.raises(ClipError, match=f"{name}: cut short"):
        probe([Recording(str(CLIPS / name))], ffmpeg)
    (video,) = probe([Recording(str(CLIPS / name))], ffmpeg, take_damaged=True)
    assert 10 <= video.frames < 24
    assert any("cut short" in note for note in video.notes)
    stream = WantedStream(Recording(str(CLIPS / name)), video, "gray")
    assert sum(1 for _ in decode([stream], ffmpeg, take_damaged=True)) == video.frames


def test_a_damaged_clip_is_named_with_its_frame(ffmpeg: str) -> None:
    """Its packets are all there, in mp4: decoding finds it."""
    path = CLIPS / "corrupt-same-count-h264.mp4"
    (video,) = probe([Recording(str(path))], ffmpeg)
    with pytest.raises(ClipError, match=r"corrupt-same-count-h264.mp4: damaged at frame \d+"):
        whole_frames(path, ffmpeg)
    stream = WantedStream(Recording(str(path)), video, "gray")
    assert sum(1 for _ in decode([stream], ffmpeg, take_damaged=True)) == 24


@pytest.mark.parametrize(
    ("encoder", "suffix"),
    [("mpeg4", "avi"), ("libx264", "mkv"), ("mpeg2video", "mpg"), ("mjpeg", "avi")],
)
def test_changed_bytes_are_noticed(encoder: str, suffix: str, ffmpeg: str, tmp_path: Path) -> None:
    path = tmp_path / f"noise.{suffix}"
    source = ["-f", "lavfi", "-i", "testsrc2=size=320x240:rate=24:duration=1"]
    subprocess.run([ffmpeg, "-loglevel", "error", *source, "-c:v", encoder, str(path)], check=True)
    assert len(whole_frames(path, ffmpeg)) == 24
    data = bytearray(path.read_bytes())
    for place in np.random.default_rng(3).integers(len(data) * 3 // 8, len(data) * 5 // 8, 12).tolist():
        data[place] ^= 0x5A
    path.write_bytes(data)
    with pytest.raises(ClipError, match=rf"noise.{suffix}: (damaged|cut short|no frame|not a readable)"):
        whole_frames(path, ffmpeg)


def test_what_a_user_should_know_is_noted(ffmpeg: str) -> None:
    for name, note in (
        ("interlaced-mpeg2.mpg", "interlaced"),
        ("hdr-hlg.mp4", "HDR"),
        ("rotated-second-stream.mp4", "2 video tracks"),
        ("growing-vp8.webm", "changes size"),
    ):
        (video,) = probe([Recording(str(CLIPS / name))], ffmpeg)
        assert any(note in said for said in video.notes), name
    assert not probe([Recording(str(CLIPS / "vp8-altref.webm"))], ffmpeg)[0].notes


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<!DOCTYPE html><html>404</html>", "HTML"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
        (b"PK\x03\x04" + bytes(60), "zip"),
        (bytes(4096), "zeros"),
        (b"ffconcat version 1.0\nfile other.mp4\n", "not a readable video"),
        (b"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'></MPD>", "not a readable video"),
    ],
)
def test_what_is_no_video_is_called_what_it_is(content: bytes, reason: str, ffmpeg: str, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(ClipError, match=f"a.mp4: .*{reason}"):
        probe([Recording(str(path))], ffmpeg)
    path.unlink()
    path.mkdir()
    with pytest.raises(ClipError, match=r"a\.mp4: is a folder"):
        probe([Recording(str(path))], ffmpeg)
