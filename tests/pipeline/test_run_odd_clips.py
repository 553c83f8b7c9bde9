"""Clips as people have them, through all stages: every crop shows its own frame, in its place, or the clip is named.

The pictures say which frame they are (see `helpers.data.coded_clips`); in tests/data/clips are those of bug reports.
"""

import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest
from helpers.data.clip_making import write_keypoints
from helpers.data.coded_clips import (
    CLIPS,
    HEIGHT,
    WIDTH,
    check_frames,
    clip_list,
    crop_of,
    info_of,
    keypoints_of,
    picture,
    pipeline_run,
    samples,
    write_coded,
)

from shards.format.dataset import read_dataset

# Frames, the number of the first one, and in how many the hands circle.
SOUND = {
    "avi-notcoded-vops.avi": (16, 0, 16),
    "avif-animated.avif": (16, 0, 16),
    "cover-first-mkv.mkv": (24, 0, 24),
    "flv1-swf.swf": (16, 0, 16),
    "growing-vp8.webm": (16, 0, 16),
    "growing-vp9.webm": (16, 0, 16),
    "h264-intra-refresh-cut.mkv": (12, 28, 40),
    "h264-open-gop-cut.mkv": (28, 12, 40),
    "hdr-hlg.mp4": (16, 0, 16),
    "hevc-open-gop-sscopy.mkv": (28, 12, 40),
    "mpeg2-cut.mpg": (19, 21, 40),
    "rotated-second-stream.mp4": (12, 0, 12),
    "vp8-altref.webm": (40, 0, 40),
}


def test_crops_show_the_frame_and_the_place_that_they_should(tmp_path: Path) -> None:
    rows = []
    for name, (frames, first, period) in SOUND.items():
        key = name.partition(".")[0]
        np.save(tmp_path / f"{key}.npy", keypoints_of(range(first, first + frames), period))
        rows.append({"id": key, "color": CLIPS / name, "keypoints": f"{key}.npy"})
    code, said = pipeline_run("--data", clip_list(tmp_path / "clips.csv", *rows), "--work", tmp_path / "work")
    assert code == 0, said
    found = samples(tmp_path / "work")
    for name, (frames, first, period) in SOUND.items():
        members = found[name.partition(".")[0]]
        assert (info_of(members).frames, info_of(members).width, info_of(members).height) == (frames, WIDTH, HEIGHT)
        check_frames(members, first, period)
    for note in (
        "growing-vp8: its picture changes size",
        "hdr-hlg: HDR",
        "rotated-second-stream: holds 2 video tracks",
    ):
        assert f"warning: {note}" in said


def turned(points: np.ndarray) -> np.ndarray:
    return np.stack([points[..., 1], WIDTH - points[..., 0]], axis=-1)


def wide(points: np.ndarray) -> np.ndarray:
    return points * (284 / WIDTH, 1)


def test_keypoints_of_a_turned_picture_are_those_of_the_picture_that_is_shown(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", keypoints_of(range(12), 12, turned))
    row = {"id": "a", "color": CLIPS / "rotated-sei.mp4", "keypoints": "a.npy"}
    code, said = pipeline_run("--data", clip_list(tmp_path / "clips.csv", row), "--work", tmp_path / "work")
    assert code == 0, said
    members = samples(tmp_path / "work")["a"]
    assert (info_of(members).width, info_of(members).height) == (HEIGHT, WIDTH)
    check_frames(members, 0, 12, turned)


@pytest.mark.parametrize("archive", [False, True])
def test_keypoints_of_pixels_that_are_not_square_are_those_of_the_stored_picture(tmp_path: Path, archive: bool) -> None:
    keypoints = keypoints_of(range(16), 16)
    np.save(tmp_path / "a.npy", keypoints)
    write_keypoints(tmp_path / "kp" / "a_color.kp", "a_color", keypoints)
    with tarfile.open(tmp_path / "kp.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "kp", "kp")
    row = {"id": "a", "color": CLIPS / "sar-anamorphic.mp4"} | ({} if archive else {"keypoints": "a.npy"})
    more = ["--keypoints", tmp_path / "kp.tar.gz"] if archive else []
    code, said = pipeline_run("--data", clip_list(tmp_path / "clips.csv", row), "--work", tmp_path / "work", *more)
    assert code == 0, said
    members = samples(tmp_path / "work")["a"]
    assert (info_of(members).width, info_of(members).height) == (284, HEIGHT)
    check_frames(members, 0, 16, wide)


def test_a_damaged_clip_is_named_and_taken_where_that_is_asked_for(tmp_path: Path) -> None:
    frames = {"truncated-webm.webm": 14, "truncated-mkv.mkv": 12, "truncated-faststart-mp4-at-packet.mp4": 15}
    rows = []
    for name, count in frames.items():
        key = name.partition(".")[0]
        np.save(tmp_path / f"{key}.npy", keypoints_of(range(count), 24))
        rows.append({"id": key, "color": CLIPS / name, "keypoints": f"{key}.npy"})
    np.save(tmp_path / "corrupt.npy", keypoints_of(range(24), 24))
    rows.append({"id": "corrupt", "color": CLIPS / "corrupt-same-count-h264.mp4", "keypoints": "corrupt.npy"})
    arguments = ["--data", clip_list(tmp_path / "clips.csv", *rows), "--work", tmp_path / "work"]
    code, said = pipeline_run(*arguments)
    assert code == 3
    for name in frames:
        assert f"{name}: cut short" in said
    assert "corrupt-same-count-h264.mp4: damaged at frame" in said
    code, said = pipeline_run(*arguments, "--damaged", "take")
    assert code == 0, said
    assert "cut short (and 2 clips like it)" in said
    found = samples(tmp_path / "work")
    for name in frames:
        check_frames(found[name.partition(".")[0]], 0, 24)
    assert info_of(found["corrupt"]).frames == 24


KNOWN = 84  # the first row of depth that is not 0


def write_depth(ffmpeg: str, path: Path, frames: int, pixels: str, *options: str) -> None:
    """A ramp from left to right: 0 and 100 to 2,000 as 16 bits, or levels of 8; the first rows are 0, unknown."""
    ramp = np.tile(np.linspace(100, 2000, WIDTH), (HEIGHT, 1))
    ramp[:KNOWN] = 0
    levels = ramp.astype("<u2") if pixels == "gray16le" else (ramp / 8).astype(np.uint8)
    source = ["-f", "rawvideo", "-pix_fmt", pixels, "-s", f"{WIDTH}x{HEIGHT}", "-r", "25", "-i", "-"]
    command = [ffmpeg, "-loglevel", "error", "-y", *source, *options, str(path)]
    subprocess.run(command, input=levels.tobytes() * frames, check=True)


@pytest.fixture
def with_depth(ffmpeg: str, tmp_path: Path) -> Path:
    """A clip list of one clip, whose depth is `depth.mkv`."""
    write_coded(ffmpeg, tmp_path / "a.mp4", 8)
    np.save(tmp_path / "a.npy", keypoints_of(range(8), 8))
    row = {"id": "a", "color": "a.mp4", "depth": "depth.mkv", "keypoints": "a.npy"}
    return clip_list(tmp_path / "clips.csv", row)


@pytest.mark.parametrize("recipe", ["default", "reference"])
def test_depth_of_16_bits_is_scaled_by_the_range_that_is_given(
    ffmpeg: str, with_depth: Path, tmp_path: Path, recipe: str
) -> None:
    write_depth(ffmpeg, tmp_path / "depth.mkv", 8, "gray16le", "-c:v", "ffv1")
    arguments = ["--data", with_depth, "--work", tmp_path / "work", "--recipe", recipe]
    code, said = pipeline_run(*arguments)
    assert (code, "depth.mkv: depth of more than 8 bits" in said) == (3, True)
    code, said = pipeline_run(*arguments, "--depth-range", "500,1500")
    assert code == 0, said
    image, (x0, y0, x1, y1) = crop_of(samples(tmp_path / "work")["a"], "right", 0, depth=True)
    values = np.linspace(100, 2000, WIDTH)[x0:x1]
    expected = np.tile(np.clip((values - 500) / 1000, 0, 1) * 255, (y1 - y0, 1))
    expected[: KNOWN - y0] = 0
    assert y0 < KNOWN < y1 and np.ptp(expected[-1]) > 80
    assert np.abs(image - expected).mean() < 3
    assert read_dataset(tmp_path / "work" / "shards").settings["depth_range"] == [500, 1500]


def test_depth_of_8_bits_needs_no_range(ffmpeg: str, with_depth: Path, tmp_path: Path) -> None:
    write_depth(ffmpeg, tmp_path / "depth.mkv", 8, "gray", "-c:v", "ffv1")
    code, said = pipeline_run("--data", with_depth, "--work", tmp_path / "work", "--depth-range", "500,1500")
    assert (code, "warning: a: depth has 8 bits already" in said) == (0, True), said
    image, (x0, _y0, x1, _y1) = crop_of(samples(tmp_path / "work")["a"], "right", 0, depth=True)
    assert np.abs(image[-1] - np.linspace(100, 2000, WIDTH)[x0:x1] / 8).mean() < 3


@pytest.mark.parametrize("recipe", ["default", "reference"])
def test_depth_that_was_color_mapped_is_refused(ffmpeg: str, with_depth: Path, tmp_path: Path, recipe: str) -> None:
    write_depth(
        ffmpeg, tmp_path / "depth.mkv", 8, "gray", "-vf", "format=yuv444p,pseudocolor=preset=turbo", "-c:v", "ffv1"
    )
    arguments = ["--data", with_depth, "--work", tmp_path / "work", "--recipe", recipe]
    code, said = pipeline_run(*arguments)
    assert code == 3
    assert "depth.mkv: this depth video has colors" in said
    assert pipeline_run(*arguments, "--no-depth")[0] == 0


def test_depth_that_is_the_color_video_is_refused(ffmpeg: str, with_depth: Path, tmp_path: Path) -> None:
    (tmp_path / "depth.mkv").symlink_to("a.mp4")
    code, said = pipeline_run("--data", with_depth, "--work", tmp_path / "work")
    assert (code, "depth.mkv: is the color video, too" in said) == (3, True)


def test_suffixes_of_cameras_and_other_containers_are_taken_and_the_rest_is_told(ffmpeg: str, tmp_path: Path) -> None:
    tree = tmp_path / "data" / "train"
    tree.mkdir(parents=True)
    (tmp_path / "kp").mkdir()
    for name in ("a_color.MP4", "b_color.mkv", "c.mp4", "d_depth.mp4"):
        write_coded(ffmpeg, tree / name, 6)
    write_depth(ffmpeg, tree / "a_depth.mkv", 6, "gray", "-c:v", "ffv1")
    for key in "ab":
        np.save(tmp_path / "kp" / f"{key}.npy", keypoints_of(range(6), 6))
    work = tmp_path / "work"
    code, said = pipeline_run("--data", tmp_path / "data", "--keypoints", tmp_path / "kp", "--work", work)
    assert code == 0, said
    assert "2 videos are no <id>_color and no depth of one" in said
    found = samples(work)
    assert {key: "left_depth.mjpg" in members for key, members in found.items()} == {"a": True, "b": False}
    for members in found.values():
        check_frames(members, 0, 6)


def test_pictures_are_those_of_the_code(ffmpeg: str, tmp_path: Path) -> None:
    """The helper's own clips, decoded by FFmpeg, are what it drew."""
    write_coded(ffmpeg, tmp_path / "a.mp4", 5)
    command = [ffmpeg, "-loglevel", "error", "-i", str(tmp_path / "a.mp4"), "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    frames = np.frombuffer(raw, np.uint8).reshape(5, HEIGHT, WIDTH).astype(int)
    assert all(np.abs(frame - picture(number, 5)).mean() < 3 for number, frame in enumerate(frames))
