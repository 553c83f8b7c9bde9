"""Clip lists as they are written, through all stages: clips without video, parts, pictures, names, other keypoints."""

import json
import os
import shutil
import tarfile
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.data.clip_making import write_keypoints
from helpers.data.coded_clips import (
    HEIGHT,
    WIDTH,
    check_frames,
    clip_list,
    info_of,
    keypoints_of,
    picture,
    pipeline_run,
    pose_of,
    samples,
    write_coded,
)
from helpers.data.keypoint_files import SIZE, flat, mediapipe_form, signer
from helpers.processes.pipeline_runs import fake_openpose
from PIL import Image

from pipeline.cli import main
from shards.format.dataset import read_dataset


def test_clips_without_video_become_samples_of_keypoints(tmp_path: Path) -> None:
    points = {key: signer(6 + number, number) for number, key in enumerate("abc")}
    for key, value in points.items():
        np.save(tmp_path / f"{key}.npy", flat(value))
    rows = [{"id": key, "split": "test" if key == "c" else "train", "keypoints": f"{key}.npy"} for key in points]
    work = tmp_path / "work"
    arguments = ["--data", clip_list(tmp_path / "clips.csv", *rows), "--work", work]
    code, said = pipeline_run(*arguments)
    assert (code, said.count("the size of the picture must be known")) == (3, 3), said
    code, said = pipeline_run(*arguments, "--picture-size", "640x480")
    assert code == 0, said
    assert "handcrops: 0 done, 0 to do, 3 without video passed by" in said
    dataset = read_dataset(work / "shards")
    assert {split: sum(shard.samples for shard in found) for split, found in dataset.splits.items()} == {
        "train": 2,
        "test": 1,
    }
    assert dataset.settings["estimator"] == "import mediapipe1662"
    for key, members in samples(work).items():
        assert members.keys() == {"json", "flow.npy", "pose.npy"}
        info = json.loads(members["json"])
        assert (info["frames"], info["width"], info["height"]) == (len(points[key]), *SIZE)
        expected = mediapipe_form(points[key])[:, :133]  # 468 points of the face have no pupils
        np.testing.assert_allclose(pose_of(members)[:, :133], expected, atol=1e-3)
    status = CliRunner().invoke(main, ["status", "--work", str(work)])
    assert "handcrops      0       0       0" in status.output


def test_another_size_of_the_picture_is_in_the_shards_of_the_same_keypoints(tmp_path: Path) -> None:
    """Points in pixels stay as they are."""
    write_keypoints(tmp_path / "a", "a", keypoints_of(range(5), 4))
    data, work = clip_list(tmp_path / "clips.csv", {"id": "a", "split": "train", "keypoints": "a"}), tmp_path / "work"
    sizes, digests = [], []
    for more in ((), ("--picture-size", "640x480"), ("--picture-size", "640x480")):
        code, said = pipeline_run("--data", data, "--work", work, *more)
        assert code == 0, said
        info = json.loads(samples(work)["a"]["json"])
        sizes.append((info["width"], info["height"]))
        digests.append([path.read_bytes() for path in sorted((work / "shards").iterdir()) if path.is_file()])
    assert sizes[0] != (640, 480)
    assert sizes[1:] == [(640, 480)] * 2
    assert digests[1] == digests[2]


def test_parts_of_a_longer_video(ffmpeg: str, tmp_path: Path) -> None:
    """25 frames per second: frame n begins at n / 25 s."""
    write_coded(ffmpeg, tmp_path / "long.mp4", 30)
    parts = {"first": (0, 10, "", 0.4), "middle": (10, 18, 0.4, 0.72), "last": (20, 30, 0.8, "")}
    rows = []
    for key, (first, end, start_seconds, end_seconds) in parts.items():
        np.save(tmp_path / f"{key}.npy", keypoints_of(range(first, end), 30))
        row = {"id": key, "color": "long.mp4", "keypoints": f"{key}.npy", "start": start_seconds, "end": end_seconds}
        rows.append(row | {"label": len(rows)})
    code, said = pipeline_run("--data", clip_list(tmp_path / "clips.csv", *rows), "--work", tmp_path / "work")
    assert (code, "warning" in said) == (0, False), said
    for key, members in samples(tmp_path / "work").items():
        first, end, *_ = parts[key]
        assert info_of(members).frames == end - first
        check_frames(members, first, 30)


def test_an_estimator_sees_the_part_alone(ffmpeg: str, tmp_path: Path) -> None:
    write_coded(ffmpeg, tmp_path / "long.mp4", 30)
    row = {"id": "a", "color": "long.mp4", "start": 0.4, "end": 0.72}
    arguments = ["--data", clip_list(tmp_path / "clips.csv", row), "--work", tmp_path / "work"]
    code, said = pipeline_run(*arguments, "--openpose-bin", fake_openpose(tmp_path))
    assert code == 0, said
    assert len(pose_of(samples(tmp_path / "work")["a"])) == 8


def test_parts_need_a_video_and_lie_in_it(ffmpeg: str, tmp_path: Path) -> None:
    write_coded(ffmpeg, tmp_path / "long.mp4", 10)
    np.save(tmp_path / "a.npy", keypoints_of(range(10), 10))
    data = clip_list(tmp_path / "clips.csv", {"id": "a", "keypoints": "a.npy", "start": 0.1, "end": 0.2})
    code, said = pipeline_run("--data", data, "--work", tmp_path / "work")
    assert (code, "clips.csv:2: column start: " in said) == (2, True)
    row = {"id": "a", "color": "long.mp4", "keypoints": "a.npy", "start": 5}
    code, said = pipeline_run("--data", clip_list(tmp_path / "clips.csv", row), "--work", tmp_path / "work")
    assert (code, "long.mp4: no frame of it between 5 s" in said) == (3, True)


def test_a_folder_of_numbered_pictures(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for number in range(12):
        Image.fromarray(picture(number, 12)).convert("RGB").save(tmp_path / "a" / f"{number + 1:04d}.png")
    np.save(tmp_path / "a.npy", keypoints_of(range(12), 12))
    arguments = ["--work", tmp_path / "work"]
    arguments += ["--data", clip_list(tmp_path / "clips.csv", {"id": "a", "color": "a", "keypoints": "a.npy"})]
    code, said = pipeline_run(*arguments)
    assert code == 0, said
    members = samples(tmp_path / "work")["a"]
    assert (info_of(members).frames, info_of(members).width, info_of(members).height) == (12, WIDTH, HEIGHT)
    check_frames(members, 0, 12)
    assert "frames: 1 done, 0 to do" in pipeline_run(*arguments)[1]
    os.utime(tmp_path / "a" / "0005.png", ns=(1, 1))
    assert "frames: 0 done, 1 to do (1 changed since)" in pipeline_run(*arguments)[1]
    (tmp_path / "a" / "0005.png").unlink()
    code, said = pipeline_run(*arguments)
    assert (code, "a: the picture number 5 is missing" in said) == (3, True)


def test_labels_that_are_names_are_numbered_and_kept(tmp_path: Path) -> None:
    for key in "abc":
        np.save(tmp_path / f"{key}.npy", keypoints_of(range(5), ord(key)))
    words = {"a": "tree", "b": "Ärger", "c": "house"}
    rows = [{"id": key, "label": word, "keypoints": f"{key}.npy"} for key, word in words.items()]
    data = clip_list(tmp_path / "clips.csv", *rows)
    code, said = pipeline_run("--data", data, "--work", tmp_path / "work")
    assert code == 0, said
    classes = read_dataset(tmp_path / "work" / "shards").classes
    assert classes == ["house", "tree", "Ärger"]
    labels = {key: json.loads(members["json"])["label"] for key, members in samples(tmp_path / "work").items()}
    assert {key: classes[label] for key, label in labels.items()} == words
    (tmp_path / "classes.csv").write_text("ClassId,NAME\n0,tree\n1,house\n2,Ärger\n3,never\n", encoding="utf-8")
    names = ["--classes", tmp_path / "classes.csv"]
    for more in ([], ["--labels", data]):
        assert pipeline_run("--data", data, "--work", tmp_path / "work", *names, *more)[0] == 0
        labels = {key: json.loads(members["json"])["label"] for key, members in samples(tmp_path / "work").items()}
        assert labels == {"a": 0, "b": 2, "c": 1}


def test_labels_of_a_tree_that_are_names_are_kept(ffmpeg: str, tmp_path: Path) -> None:
    tree = tmp_path / "data" / "train"
    tree.mkdir(parents=True)
    for key in "ab":
        write_coded(ffmpeg, tree / f"{key}_color.mp4", 6)
        write_keypoints(tmp_path / "kp" / f"{key}.kp", key, keypoints_of(range(6), ord(key)))
    (tmp_path / "labels.csv").write_text("id,label\na,tree\nb,house\n")
    more = ["--keypoints", tmp_path / "kp", "--labels", tmp_path / "labels.csv"]
    assert pipeline_run("--data", tmp_path / "data", "--work", tmp_path / "work", *more)[0] == 0
    assert read_dataset(tmp_path / "work" / "shards").classes == ["house", "tree"]
    assert {key: info_of(members).label for key, members in samples(tmp_path / "work").items()} == {"a": 1, "b": 0}


def test_ids_and_paths_in_either_form_of_unicode(ffmpeg: str, tmp_path: Path) -> None:
    name = {form: unicodedata.normalize(form, "öğretmen_1") for form in ("NFC", "NFD")}
    tree = tmp_path / "data" / "train"
    tree.mkdir(parents=True)
    write_coded(ffmpeg, tree / f"{name['NFD']}_color.mp4", 6)
    keypoints = tmp_path / "kp"
    keypoints.mkdir()
    np.save(keypoints / f"{name['NFC']}.npy", keypoints_of(range(6), 6))
    (tmp_path / "labels.csv").write_text(f"{name['NFC']},3\n", encoding="utf-8")
    more = ["--keypoints", keypoints, "--labels", tmp_path / "labels.csv"]
    code, said = pipeline_run("--data", tmp_path / "data", "--work", tmp_path / "work", *more)
    assert code == 0, said
    members = samples(tmp_path / "work")[name["NFC"]]
    assert info_of(members).label == 3
    row = {"id": name["NFC"], "color": f"data/train/{name['NFC']}_color.mp4", "keypoints": f"kp/{name['NFD']}.npy"}
    code, said = pipeline_run("--data", clip_list(tmp_path / "clips.csv", row), "--work", tmp_path / "work2")
    assert code == 0, said
    check_frames(samples(tmp_path / "work2")[name["NFC"]], 0, 6)


@pytest.fixture
def clip(ffmpeg: str, tmp_path: Path) -> Path:
    """A clip list of one clip, whose keypoints are in a.npy."""
    write_coded(ffmpeg, tmp_path / "a.mp4", 12)
    return clip_list(tmp_path / "clips.csv", {"id": "a", "color": "a.mp4", "keypoints": "a.npy"})


def run_with(clip: Path, keypoints: np.ndarray, *more: str) -> tuple[int, str]:
    np.save(clip.parent / "a.npy", keypoints)
    return pipeline_run("--data", clip, "--work", clip.parent / "work", *more)


def test_a_point_at_minus_one_is_missing(clip: Path) -> None:
    keypoints = keypoints_of(range(12), 12)
    keypoints[4:7, 9:11] = (-1, -1, 0)
    keypoints[8, 10, 2] = 0
    assert run_with(clip, keypoints)[0] == 0
    members = samples(clip.parent / "work")["a"]
    hands = info_of(members).hands
    assert np.flatnonzero(hands["left"].missing).tolist() == [4, 5, 6]
    assert np.flatnonzero(hands["right"].missing).tolist() == [4, 5, 6, 8]
    assert not pose_of(members)[4:7, 9:11].any()


def test_keypoints_of_a_picture_of_half_the_size_are_warned_of(clip: Path) -> None:
    code, said = run_with(clip, keypoints_of(range(12), 12) * (0.5, 0.5, 1))
    assert (code, "warning: a: all points lie in the upper left quarter" in said) == (0, True), said


def test_keypoints_of_other_units_or_lengths_fail_the_clip(clip: Path) -> None:
    code, said = run_with(clip, keypoints_of(range(11), 12))
    assert (code, "a.npy: keypoints of 11 frames for a video of 12" in said) == (3, True), said
    code, said = run_with(clip, keypoints_of(range(12), 12) * (2 / WIDTH, 2 / HEIGHT, 1) - (1, 1, 0))
    assert (code, "a.npy: " in said) == (3, True), said
    code, said = run_with(clip, np.zeros((12, 17, 3)))
    assert (code, "COCO's 17 points" in said) == (2, True), said


@pytest.mark.parametrize("archive", [False, True])
def test_one_person_is_followed_through_a_clip(ffmpeg: str, tmp_path: Path, archive: bool) -> None:
    """A smaller bystander, who is first in every other frame."""
    write_coded(ffmpeg, tmp_path / "a.mp4", 12)
    person = keypoints_of(range(12), 12)
    bystander = keypoints_of(range(3, 15), 12) * (0.5, 0.5, 1) + (70, 2, 0) * (person[..., 2:] > 0)
    folder = tmp_path / "kp" / "a_color.kp"
    write_keypoints(folder, "a_color", person)
    for number, path in enumerate(sorted(folder.iterdir())):
        people = [person[number], bystander[number]][:: 1 if number % 2 else -1]
        path.write_text(json.dumps({"people": [{"pose_keypoints_2d": points.ravel().tolist()} for points in people]}))
    with tarfile.open(tmp_path / "kp.tar", "w") as tar:
        tar.add(tmp_path / "kp", "kp")
    data = clip_list(tmp_path / "clips.csv", {"id": "a", "color": "a.mp4"})
    more = ["--keypoints", tmp_path / ("kp.tar" if archive else "kp")]
    code, said = pipeline_run("--data", data, "--work", tmp_path / "work", *more)
    assert code == 0, said
    members = samples(tmp_path / "work")["a"]
    check_frames(members, 0, 12)
    np.testing.assert_allclose(pose_of(members), person, atol=1e-3)


def test_clips_that_come_twice_in_an_archive_fail(ffmpeg: str, tmp_path: Path) -> None:
    """As after `tar --append`: nothing says which of the two is meant."""
    for key in "ab":
        write_coded(ffmpeg, tmp_path / f"{key}.mp4", 6)
        write_keypoints(tmp_path / "kp" / f"{key}.kp", key, keypoints_of(range(6), 6))
    with tarfile.open(tmp_path / "kp.tar", "w") as tar:
        for key in "aba":
            tar.add(tmp_path / "kp" / f"{key}.kp", f"kp/{key}.kp")
    data = clip_list(tmp_path / "clips.csv", *({"id": key, "color": f"{key}.mp4"} for key in "ab"))
    code, said = pipeline_run("--data", data, "--work", tmp_path / "work", "--keypoints", tmp_path / "kp.tar")
    assert (code, "failed: a (keypoints): " in said, "are there twice" in said) == (3, True, True), said
    assert "keypoints: 2/2 in " in said
    assert samples(tmp_path / "work").keys() == {"b"}


def test_the_same_clip_in_two_splits_is_told(ffmpeg: str, tmp_path: Path) -> None:
    write_coded(ffmpeg, tmp_path / "a.mp4", 6)
    shutil.copy(tmp_path / "a.mp4", tmp_path / "b.mp4")
    np.save(tmp_path / "a.npy", keypoints_of(range(6), 6))
    pairs = (("a", "train"), ("b", "test"))
    rows = [{"id": key, "split": split, "color": f"{key}.mp4", "keypoints": "a.npy"} for key, split in pairs]
    code, said = pipeline_run("--data", clip_list(tmp_path / "clips.csv", *rows), "--work", tmp_path / "work")
    assert (code, "b: a copy of a" in said) == (0, True), said
    rows[1] |= {"color": "a.mp4"}
    code, said = pipeline_run("--data", clip_list(tmp_path / "clips.csv", *rows), "--work", tmp_path / "work")
    assert (code, "1 files are clips of two splits or classes, e.g. " in said) == (0, True), said


@pytest.mark.parametrize("name", ["a.npy", "a.zip"])
def test_a_file_that_is_no_archive_is_refused_before_any_stage(clip: Path, name: str) -> None:
    path = clip.parent / name
    if name.endswith(".zip"):
        shutil.make_archive(str(path.with_suffix("")), "zip", clip.parent, "a.mp4")
    else:
        np.save(path, keypoints_of(range(12), 12))
    data = clip_list(clip.parent / "others.csv", {"id": "a", "color": "a.mp4"})
    code, said = pipeline_run("--data", data, "--work", clip.parent / "work", "--keypoints", path)
    assert (code, f"{name}: " in said, "frames:" in said) == (2, True, False), said


def test_options_for_keypoints_that_no_clip_needs_are_refused(clip: Path) -> None:
    code, said = run_with(clip, keypoints_of(range(12), 12), "--pose", "mediapipe")
    assert (code, "clips.csv: all its clips have keypoints of their own" in said) == (2, True), said


def test_whom_to_follow_in_a_clip_s_own_keypoints(tmp_path: Path) -> None:
    large = keypoints_of(range(5), 5)
    small = large * [0.5, 0.5, 1]
    np.save(tmp_path / "a.npy", np.stack([small, large], axis=1))
    data = clip_list(tmp_path / "clips.csv", {"id": "a", "keypoints": "a.npy"})
    for more, person in (((), large), (("--person", "first"), small)):
        code, said = pipeline_run("--data", data, "--work", tmp_path / "work", *more)
        assert code == 0, said
        np.testing.assert_array_equal(pose_of(samples(tmp_path / "work")["a"]), person.astype(np.float32))
