"""Clips as the world has them: each fails for its own reason or comes through, and none disturbs the others."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.data.clip_making import make_clip, moving_keypoints, write_keypoints
from helpers.processes.pipeline_runs import leftovers, run

from pipeline.workspace.clip import Video
from pipeline.workspace.ledger import read_ledger_rows
from pipeline.workspace.paths import STAGES
from pipeline.workspace.row import DONE, FAILED
from shards.format.dataset import read_dataset
from shards.format.shardset import open_shards

FRAMES = 8
Make = Callable[[str, Path], None]


def encoded(*arguments: str) -> Make:
    """A maker of clips by an FFmpeg command line."""

    def make(ffmpeg: str, path: Path) -> None:
        command = [ffmpeg, "-loglevel", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=30"]
        subprocess.run([*command, *arguments, "-preset", "ultrafast", str(path)], check=True)

    return make


def frames(count: int, *more: str) -> Make:
    return encoded("-frames:v", str(count), "-pix_fmt", "yuv420p", *more)


def truncated(ffmpeg: str, path: Path) -> None:
    make_clip(ffmpeg, path, 60)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def broken_inside(ffmpeg: str, path: Path) -> None:
    """The container is whole, but a part of the pictures is zeros."""
    make_clip(ffmpeg, path, 30)
    data = bytearray(path.read_bytes())
    start, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    data[start + (end - start) // 3 : end] = bytes(2 * (end - start) // 3)
    path.write_bytes(data)


def audio_only(ffmpeg: str, path: Path) -> None:
    command = [ffmpeg, "-loglevel", "error", "-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac", str(path)]
    subprocess.run(command, check=True)


def rotated(ffmpeg: str, path: Path) -> None:
    """90°, as phones write it: a note in the container."""
    upright = path.with_name("upright.mp4")
    make_clip(ffmpeg, upright, FRAMES)
    command = [ffmpeg, "-loglevel", "error", "-display_rotation", "90", "-i", str(upright), "-c", "copy", str(path)]
    subprocess.run(command, check=True)
    upright.unlink()


def playlist(ffmpeg: str, path: Path) -> None:
    """A text that would have FFmpeg open other files."""
    path.write_text("ffconcat version 1.0\nfile '/etc/passwd'\n")


# Clips that fail, by id: the maker, and what the ledger says.
BAD: dict[str, tuple[Make, str]] = {
    "truncated": (truncated, "not a readable video (moov atom not found)"),
    "broken-inside": (broken_inside, r"damaged at frame \d+"),
    "empty": (lambda ffmpeg, path: path.touch(), "empty file"),
    "audio-only": (audio_only, "holds no video frames"),
    "text": (lambda ffmpeg, path: path.write_text("not a video\n" * 99), "not a readable video"),
    "playlist": (playlist, "not a readable video"),
    "folder": (lambda ffmpeg, path: path.mkdir(), "is a folder, but not of numbered pictures"),
}
# Clips that come through, by id: the maker, frames, width, height.
GOOD: dict[str, tuple[Make, int, int, int]] = {
    "plain": (frames(FRAMES), FRAMES, 160, 120),
    "one-frame": (frames(1), 1, 160, 120),
    # Chroma of half size: H.264 in 4:2:0 is even, 4:4:4 and MPEG-4 are not.
    "odd-size": (encoded("-frames:v", "8", "-vf", "scale=161:121", "-pix_fmt", "yuv444p"), FRAMES, 161, 121),
    "odd-mpeg4": (frames(FRAMES, "-vf", "scale=159:119", "-c:v", "mpeg4"), FRAMES, 159, 119),
    # 8 of 16 frames are left, at irregular times.
    "variable-rate": (
        encoded("-frames:v", "8", "-vf", "select='not(mod(n\\,2))*lt(n\\,8)+gte(n\\,12)'", "-fps_mode", "vfr"),
        FRAMES,
        160,
        120,
    ),
    "rotated": (rotated, FRAMES, 120, 160),
    "ten-bit": (encoded("-frames:v", "8", "-pix_fmt", "yuv420p10le"), FRAMES, 160, 120),
    "Zeichen für Wörter 你好": (frames(FRAMES), FRAMES, 160, 120),
    "a 'quoted' %d [name]": (frames(FRAMES), FRAMES, 160, 120),
    "-dash": (frames(FRAMES), FRAMES, 160, 120),
}
# Good clips whose depth video is wrong: its maker, and what the ledger says.
BAD_DEPTH: dict[str, tuple[Make, str]] = {
    "depth-shorter": (frames(5), "5 frames, color has 8; mend it, or run with --no-depth"),
    "depth-smaller": (
        frames(FRAMES, "-vf", "scale=80:60"),
        "80×60, color is 160×120; mend it, or run with --no-depth",
    ),
    "depth-empty": (lambda ffmpeg, path: path.touch(), "empty file"),
}


def no_people(keypoints: np.ndarray, folder: Path, stem: str) -> None:
    for path in folder.iterdir():
        path.write_text('{"people": []}')


def replace_frame(value: str) -> Callable[[np.ndarray, Path, str], None]:
    return lambda keypoints, folder, stem: (folder / f"{stem}_{3:012d}_keypoints.json").write_text(value)


def person(values: list) -> str:
    return json.dumps({"people": [{"pose_keypoints_2d": values}]})


# Good clips whose keypoints are wrong.
BAD_KEYPOINTS = {
    "nobody": (no_people, "no person in any of 8 frames"),
    "nan": (replace_frame(person([float("nan")] * 405)), "not OpenPose's JSON .*unexpected character"),
    "large": (replace_frame(person([1e38, 50, 1] * 135)), "a keypoint has a value of 1e[+]38"),
    "huge": (replace_frame(person([1e300] * 405)), "a keypoint has values that are not finite"),
    "body-25": (replace_frame(person([1.0] * 75)), "its people have .*75.* numbers"),
    "words": (replace_frame(person(["left"] * 405)), "not OpenPose's JSON"),
    "no-json": (replace_frame("{"), "not OpenPose's JSON"),
    "other-json": (replace_frame("[1, 2]"), "not OpenPose's JSON"),
    "frame-missing": (
        lambda keypoints, folder, stem: (folder / f"{stem}_{3:012d}_keypoints.json").unlink(),
        "keypoints of 7 frames; frame 3 is missing",
    ),
    "frame-too-many": (
        lambda keypoints, folder, stem: (folder / f"{stem}_{8:012d}_keypoints.json").write_text(person([1.0] * 405)),
        "keypoints of 9 frames for a video of 8",
    ),
    "no-folder": (lambda keypoints, folder, stem: shutil.rmtree(folder), "no keypoints of no-folder in it"),
}


@pytest.fixture(scope="module")
def corpus(ffmpeg: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("corpus with spaces ä")
    mp4 = root / "mp4" / "train"
    mp4.mkdir(parents=True)
    for name, (make, _) in BAD.items():
        make(ffmpeg, mp4 / f"{name}_color.mp4")
    for name, (make, *_) in GOOD.items():
        make(ffmpeg, mp4 / f"{name}_color.mp4")
    for name, (make, _) in BAD_DEPTH.items():
        shutil.copy(mp4 / "plain_color.mp4", mp4 / f"{name}_color.mp4")
        make(ffmpeg, mp4 / f"{name}_depth.mp4")
    for name in BAD_KEYPOINTS:
        shutil.copy(mp4 / "plain_color.mp4", mp4 / f"{name}_color.mp4")
    counts = dict.fromkeys((*BAD, *BAD_DEPTH, *BAD_KEYPOINTS), FRAMES) | {key: value[1] for key, value in GOOD.items()}
    for name, count in (counts | {"broken-inside": 30}).items():
        write_keypoints(root / "kp" / f"{name}_color.kp", f"{name}_color", moving_keypoints(count, 1))
    for name, (spoil, _) in BAD_KEYPOINTS.items():
        spoil(moving_keypoints(FRAMES, 1), root / "kp" / f"{name}_color.kp", f"{name}_color")
    return root


def test_every_clip_fails_for_its_own_reason_or_comes_through(corpus: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    done = run(corpus / "mp4", work, "--keypoints", str(corpus / "kp"), "--jobs", "2")
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    errors = {
        row.id: row.error
        for stage in STAGES
        for row in read_ledger_rows(work / "ledger", stage).values()
        if row.status == FAILED
    }
    expected = {name: reason for name, (_, reason) in (BAD | BAD_DEPTH | BAD_KEYPOINTS).items()}
    assert errors.keys() == expected.keys()
    for name, reason in expected.items():
        assert reason in errors[name] or re.search(reason, errors[name]), (name, errors[name])
        assert "\n" not in errors[name]
    facts = {key: row.facts for key, row in read_ledger_rows(work / "ledger", "frames").items() if row.status == DONE}
    videos = {name: Video(facts[name]["frames"], facts[name]["width"], facts[name]["height"], 0) for name in GOOD}
    assert videos == {name: Video(*size, 0) for name, (_, *size) in GOOD.items()}
    assert set(open_shards(str(work / "shards")).ids.to_pylist()) == GOOD.keys()
    assert leftovers(work) == []


def test_the_same_command_tries_only_the_failed_again(corpus: Path, tmp_path: Path, ffmpeg: str) -> None:
    data = tmp_path / "data"
    shutil.copytree(corpus, data)
    work = tmp_path / "work"
    arguments = [data / "mp4", work, "--keypoints", str(data / "kp"), "--jobs", "2"]
    assert run(*arguments).returncode == 3
    frames(FRAMES)(ffmpeg, data / "mp4" / "train" / "empty_color.mp4")
    again = run(*arguments)
    assert again.returncode == 3
    assert (
        f"frames: {len(GOOD) + len(BAD_KEYPOINTS) + 1} done, 9 to do (1 changed since, 8 failed before)" in again.stderr
    )
    assert "handcrops: 10 done, 2 to do (1 new, 1 failed before)" in again.stderr
    assert [shard.samples for shard in read_dataset(work / "shards").splits["train"]] == [len(GOOD) + 1]
    table = [line.split() for line in again.stdout.splitlines() if line.split()[:1] and line.split()[0] in STAGES]
    assert [row[0] for row in table] == list(STAGES)
    assert table[0][1:] == ["23", "1", "8", "0"]
    assert again.stderr.count("failed: ") == 10
    assert f"… and 10 more: `pipeline status --work {work} --failed`" in again.stderr
