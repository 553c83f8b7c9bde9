"""The generated data set: its files, their agreement with each other, and that it can be made again."""

import csv
import json
import os
import shutil
import signal
import subprocess
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from pipeline.demo.generate import DemoSettings, generate, observe, plan
from pipeline.demo.signs import SIGNS
from shards.errors import InputError

SETTINGS = DemoSettings(signers_train=1, signers_val=1, signers_test=1, repetitions=1)
NOBODY = DemoSettings(signers_train=0, signers_val=0, signers_test=0)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "data"
    generate(out, SETTINGS, jobs=2)
    return out


def labels(data):
    with (data / "labels.csv").open(newline="") as file:
        return [(name, int(label), split) for name, label, split in csv.reader(file)]


def decode(path):
    args = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-loglevel",
        "error",
        "-i",
        path,
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-",
    ]
    raw = subprocess.run(args, capture_output=True, check=True, timeout=60).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, 512, 512, 3)


def keypoints(data, name, split):
    files = sorted((data / "kp" / split / f"{name}_color.kp").iterdir())
    assert [file.name for file in files] == [f"{name}_color_{i:012d}_keypoints.json" for i in range(len(files))]
    people = [json.loads(file.read_text())["people"] for file in files]
    assert {len(frame) for frame in people} == {1}
    return np.array([frame[0]["pose_keypoints_2d"] for frame in people]).reshape(-1, 135, 3)


def contents(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_every_signer_is_in_one_split_and_performs_every_sign():
    settings = DemoSettings(repetitions=2)
    clips = plan(settings)
    splits, signs = defaultdict(set), defaultdict(list)
    for clip in clips:
        splits[clip.signer].add(clip.split)
        signs[clip.signer].append(clip.label)
    assert all(len(found) == 1 for found in splits.values())
    assert [len({c.signer for c in clips if c.split == split}) for split in ("train", "val", "test")] == [12, 2, 4]
    assert all(sorted(found) == sorted(2 * list(range(8))) for found in signs.values())
    assert len({clip.id for clip in clips}) == len(clips) == 18 * 16
    assert len({tuple(found) for found in signs.values()}) > 1, "the order of the signs must not give them away"


def test_the_tree_is_autsl_s(data):
    rows = labels(data)
    assert [(clip.id, clip.label, clip.split) for clip in plan(SETTINGS)] == rows
    for split in ("train", "val", "test"):
        names = {name for name, _, found in rows if found == split}
        assert {label for _, label, found in rows if found == split} == set(range(8))
        videos = {file.name for file in (data / "mp4" / split).iterdir()}
        assert videos == {f"{name}_{kind}.mp4" for name in names for kind in ("color", "depth")}
        assert {file.name for file in (data / "kp" / split).iterdir()} == {f"{name}_color.kp" for name in names}
    lines = (data / "classes.csv").read_text().splitlines()
    assert lines == ["ClassId,EN", *(f"{label},{sign.name}" for label, sign in enumerate(SIGNS))]
    assert "GENERATED" in (data / "README.txt").read_text()


def test_videos_and_keypoints_agree(data):
    """Same number of frames; at the right hand's finger points there is a hand, in colour and in depth."""
    for name, _, split in labels(data)[::5]:
        colour, depth = (decode(data / "mp4" / split / f"{name}_{kind}.mp4").astype(int) for kind in ("color", "depth"))
        seen = keypoints(data, name, split)
        assert len(colour) == len(depth) == len(seen) and 40 <= len(seen) <= 60
        middle = slice(len(seen) // 2 - 4, len(seen) // 2 + 4)
        frame, point = np.nonzero(seen[middle, 45:65, 2])
        x, y = seen[middle, 45:65, :2][frame, point].astype(int).T
        room = colour[middle][frame, y, 2]
        assert (np.abs(colour[middle][frame, y, x] - room).max(axis=-1) > 25).mean() > 0.9
        assert (depth[middle][frame, y, x, 0] > 100).mean() > 0.9
        # Grey, and its levels survive the way through limited-range YUV: the far wall starts at 30.
        assert np.abs(depth - depth[..., :1]).max() <= 3
        assert abs(depth[:, 0].mean() - 30) < 3


def test_videos_have_autsl_s_form(data):
    for kind in ("color", "depth"):
        path = data / "mp4" / "val" / f"{labels(data)[8][0]}_{kind}.mp4"
        args = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", path]
        said = subprocess.run(args, capture_output=True, text=True, timeout=60, check=False).stderr
        assert all(word in said for word in ("h264", "yuv420p", "512x512", "30 fps"))


def test_estimates_are_imperfect(data):
    seen = np.concatenate([keypoints(data, name, split) for name, _, split in labels(data)])
    missing = (seen == 0).all(axis=-1)
    np.testing.assert_array_equal(missing, seen[..., 2] == 0)
    assert missing[:, [13, 14, 15, 16]].all()
    assert 0.002 < missing[:, [5, 6]].mean() < 0.03
    for hand, (wrist, elbow) in ((slice(25, 45), (9, 7)), (slice(45, 65), (10, 8))):
        assert missing[:, hand].all(axis=1).any()
        assert missing[:, wrist].any() and missing[:, elbow].any()
        assert not missing[:, wrist].all()


def test_jitter_has_the_stated_size_and_outside_is_missing():
    truth = np.full((2000, 135, 3), 250.0)
    truth[:, 0, :2] = 600, 250
    truth[:, 1] = np.nan
    seen = observe(truth, unit=150.0, rng=np.random.default_rng(0))
    assert (seen[:, :2] == 0).all()
    for point, sigma in ((5, 0.9), (30, 1.5)):
        found = seen[seen[:, point, 2] > 0, point, :2]
        assert found.std() == pytest.approx(sigma, rel=0.05)
        assert found.mean() == pytest.approx(250, abs=0.2)


def test_what_is_missing_is_made_again_to_the_byte_and_nothing_else_is_touched(data, tmp_path):
    """Also: the bytes do not depend on the number of processes (2 before, 1 now)."""
    copy = tmp_path / "data"
    shutil.copytree(data, copy)
    before = contents(copy)
    lost = [(clip.id, clip.split) for clip in plan(SETTINGS)][3::10]
    for name, split in lost:
        (copy / "mp4" / split / f"{name}_color.mp4").unlink()
        shutil.rmtree(copy / "kp" / split / f"{name}_color.kp")
    (copy / "labels.csv").unlink()
    killed = copy / "mp4" / "train" / ".signer0_sample1_color.mp4.0123456789ab.tmp"
    killed.write_bytes(b"of a killed process")
    whole = [file for file in copy.glob("mp4/*/*.mp4") if file.name.rsplit("_", 1)[0] not in dict(lost)]
    times = {file: file.stat().st_mtime_ns for file in whole}
    generate(copy, SETTINGS, jobs=1)
    assert contents(copy) == before
    assert {file: file.stat().st_mtime_ns for file in whole} == times


def test_another_seed_gives_other_signers(data, tmp_path):
    other = DemoSettings(signers_train=1, signers_val=0, signers_test=0, repetitions=1, seed=7)
    generate(tmp_path / "other", other, jobs=2)
    first = [
        np.median(keypoints(folder, "signer0_sample1", "train")[:, 0, :2], axis=0)
        for folder in (data, tmp_path / "other")
    ]
    assert np.abs(first[0] - first[1]).max() > 5


def test_a_folder_that_holds_something_else_is_refused(data, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="name another folder"):
        generate(tmp_path, SETTINGS, jobs=1)
    (tmp_path / "README.txt").write_bytes("für".encode("latin-1"))
    with pytest.raises(InputError, match="name another folder"):
        generate(tmp_path, SETTINGS, jobs=1)
    (tmp_path / "README.txt").unlink()
    with pytest.raises(InputError, match="name another folder"):
        generate(tmp_path / "mine.txt", SETTINGS, jobs=1)
    with pytest.raises(InputError, match="name another folder"):
        generate(data, DemoSettings(seed=43), jobs=1)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_a_folder_in_which_only_the_readme_was_begun_is_taken(tmp_path, monkeypatch):
    """A call that was killed while it wrote the first of its files."""

    def killed(*arguments):
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(Path, "replace", killed)
    child = os.fork()
    if not child:
        generate(tmp_path / "data", NOBODY, jobs=1)
        os._exit(0)  # not reached
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    monkeypatch.undo()
    assert [file.name.startswith(".README.txt.") for file in (tmp_path / "data").iterdir()] == [True]
    generate(tmp_path / "data", NOBODY, jobs=1)
    assert {file.name for file in (tmp_path / "data").iterdir()} == {"README.txt", "classes.csv", "labels.csv"}


def test_a_folder_may_have_a_colon_in_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    generate(Path("a:b"), replace(SETTINGS, signers_train=0, signers_val=0), jobs=1)
    assert len(decode(tmp_path / "a:b" / "mp4" / "test" / "signer0_sample1_depth.mp4")) >= 40


def test_a_failing_ffmpeg_is_named_with_its_reason(tmp_path, monkeypatch):
    stand_in = tmp_path / "ffmpeg"
    stand_in.write_text("#!/bin/sh\necho 'av_interleaved_write_frame(): No space left on device' >&2\nexit 1\n")
    stand_in.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(stand_in))
    with pytest.raises(InputError, match=r"_depth\.mp4: FFmpeg could not write it \(.*No space left"):
        generate(tmp_path / "data", SETTINGS, jobs=1)
    assert not list((tmp_path / "data").rglob("*.mp4"))
    assert not (tmp_path / "data" / "labels.csv").exists()
