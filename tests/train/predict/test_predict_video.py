import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.models.tiny_model import tiny_checkpoint, tiny_pose_checkpoint
from helpers.processes.predict_runs import predict as run
from helpers.processes.predict_runs import rows

from pipeline.cli import main as pipeline
from pipeline.from_videos import find_clips
from pipeline.video.probe import probe
from pipeline.video.program import ffmpeg_binary
from pipeline.video.recording import Recording
from shards.format.recipe import DEFAULT, REFERENCE
from train.data.window import Window
from train.predict.sliding import window_starts

ROOT = Path(__file__).parents[3]
CLASSES = ["0", "1", "2"]  # as the pipeline names them without --classes


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "best.pt"
    tiny_checkpoint(path, CLASSES)
    return path


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch) -> Path:
    """Where the temporary workspace goes."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    return folder


def logits(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return dict(zip(file["ids"].tolist(), file["logits"], strict=True))


def assert_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    assert max(np.abs(one[key] - other[key]).max() for key in one) < 1e-6


@pytest.mark.parametrize(
    ("name", "recipe", "keypoints"),
    (
        ("VTN_HCPF", DEFAULT, "kp"),
        ("VTN_HCPF_D", DEFAULT, "kp.tar.bz2"),
        ("VTN_HCPF_D", REFERENCE, "kp"),
    ),
)
def test_a_video_gives_what_its_shards_give(name, recipe, keypoints, request, tiny, tmp_path, scratch):
    work = request.getfixturevalue("tiny_reference_work" if recipe == REFERENCE else "tiny_work")
    model = tmp_path / "best.pt"
    tiny_checkpoint(model, CLASSES, recipe, name)
    common = ("--checkpoint", model, "--out", tmp_path / "p.csv", "--save-logits", tmp_path / "p.npz")
    assert run(*common, "--shards", work / "shards").exit_code == 0
    through_shards, answers = logits(tmp_path / "p.npz"), rows(tmp_path / "p.csv")
    videos = ("--video", tiny / "mp4" / "train", *sorted((tiny / "mp4" / "val").glob("*_color.mp4")))
    result = run(*common, *videos, "--pose", "import", "--keypoints", tiny / keypoints)
    assert result.exit_code == 0, result.output
    assert_same(logits(tmp_path / "p.npz"), through_shards)
    assert rows(tmp_path / "p.csv") == answers
    assert len(answers) == 6
    assert not list(scratch.iterdir())


@pytest.mark.parametrize("with_crops", [False, True], ids=["keypoints", "both"])
def test_keypoints_and_fused_models_of_a_video(checkpoint, with_crops, tiny, tiny_work, tmp_path, scratch):
    """Crops are cut only where a model sees them."""
    tiny_pose_checkpoint(tmp_path / "pose.pt", CLASSES, estimator="import")
    chosen = [tmp_path / "pose.pt", *([checkpoint] if with_crops else [])]
    common = ("--checkpoint", *chosen, "--out", tmp_path / "p.csv", "--save-logits", tmp_path / "p.npz", "--mirror")
    assert run(*common, "--shards", tiny_work / "shards").exit_code == 0
    through_shards = logits(tmp_path / "p.npz")
    videos = ("--video", tiny / "mp4" / "train", *sorted((tiny / "mp4" / "val").glob("*_color.mp4")))
    result = run(*common, *videos, "--keypoints", tiny / "kp")
    assert result.exit_code == 0, result.output
    assert_same(logits(tmp_path / "p.npz"), through_shards)
    assert ("handcrops:" in result.stderr) == with_crops
    assert result.stderr.count("keypoints: 0 done") == 1
    assert not list(scratch.iterdir())


def test_drawing_what_a_model_of_keypoints_saw(tiny, tmp_path, ffmpeg):
    tiny_pose_checkpoint(tmp_path / "pose.pt", CLASSES, clip_frames=11)
    clip, drawn = tiny / "mp4" / "val" / "signer2_sample5_color.mp4", tmp_path / "drawn.mp4"
    options = ("--checkpoint", tmp_path / "pose.pt", "--video", clip, "--keypoints", tiny / "kp", "--overlay", drawn)
    assert run(*options, "--out", tmp_path / "p.csv").exit_code == 0
    assert probe([Recording(str(drawn))], ffmpeg_binary(ffmpeg))[0].frames == 25
    assert run(*options, "--sliding", "5", "--out", tmp_path / "p.csv").exit_code == 0
    times = [[float(row[1]), float(row[2])] for row in rows(tmp_path / "p.csv")[1:]]
    assert np.allclose(times, [[n / 30, (n + 11) / 30] for n in (0, 5, 10, 14)], atol=1e-3)


def test_another_estimator_is_refused_before_any_clip_is_worked_on(tiny, tmp_path):
    tiny_pose_checkpoint(tmp_path / "pose.pt", CLASSES, estimator="mediapipe")
    common = ("--checkpoint", tmp_path / "pose.pt", "--video", tiny / "mp4" / "val", "--keypoints", tiny / "kp")
    result = run(*common, "--out", tmp_path / "p.csv")
    assert result.exit_code == 2
    assert "keypoints would be those of import, but the model was trained on those of mediapipe" in result.stderr
    assert "frames:" not in result.stderr
    assert run(*common, "--out", tmp_path / "p.csv", "--any-estimator").exit_code == 0


def test_the_likeliest_classes(checkpoint, tiny, tmp_path):
    common = ("--checkpoint", checkpoint, "--video", tiny / "mp4" / "val", "--keypoints", tiny / "kp")
    common = (*common, "--save-logits", tmp_path / "p.npz", "--out", tmp_path / "p.csv")
    result = run(*common, "--top-k", "2")
    assert result.exit_code == 0
    assert re.findall(r"^signer2_sample(\d): ", result.output, re.MULTILINE) == ["4", "5"]  # as in --out
    header, *found = rows(tmp_path / "p.csv")
    assert header == ["id", "rank", "class", "name", "probability"]
    assert [row[:2] for row in found] == [[f"signer2_sample{n}", str(rank)] for n in (4, 5) for rank in (1, 2)]
    for row in found:
        values = logits(tmp_path / "p.npz")[row[0]].astype(np.float64)
        assert int(row[2]) == np.argsort(-values)[int(row[1]) - 1]
        assert row[3] == CLASSES[int(row[2])]
        assert float(row[4]) == pytest.approx(np.exp(values)[int(row[2])] / np.exp(values).sum(), abs=1e-6)
    assert run(*common, "--top-k", "9").exit_code == 0  # there are only three
    assert len(rows(tmp_path / "p.csv")) == 1 + 2 * 3


def test_sliding_over_a_clip_and_drawing_it(checkpoint, tiny, tmp_path, ffmpeg):
    clip = tiny / "mp4" / "val" / "signer2_sample5_color.mp4"
    options = ("--checkpoint", checkpoint, "--video", clip, "--pose", "import", "--keypoints", tiny / "kp")
    drawn = tmp_path / "drawn.mp4"
    result = run(*options, "--sliding", "5", "--out", tmp_path / "p.csv", "--overlay", drawn)
    assert result.exit_code == 0, result.output
    header, *found = rows(tmp_path / "p.csv")
    assert header == ["id", "start", "end", "rank", "class", "name", "probability"]
    starts = window_starts(25, Window(4, 2).span, 5)
    assert [row[0] for row in found] == ["signer2_sample5"] * len(starts)
    assert np.allclose(
        [[float(row[1]), float(row[2])] for row in found], [[n / 30, (n + 7) / 30] for n in starts], atol=1e-3
    )
    original, copy = probe([Recording(str(clip)), Recording(str(drawn))], ffmpeg_binary(ffmpeg))
    assert (copy.frames, copy.fps) == (original.frames, original.fps) == (25, 30)


def test_a_failing_clip_does_not_stop_the_others(checkpoint, tiny, tmp_path, scratch):
    folder = tmp_path / "clips"
    shutil.copytree(tiny / "mp4" / "val", folder)
    (folder / "broken_color.mp4").write_bytes(b"no video")
    shutil.copy(folder / "signer2_sample4_color.mp4", folder / "unseen.mp4")  # there are no keypoints for it
    result = run(
        "--checkpoint", checkpoint, "--video", folder, "--keypoints", tiny / "kp", "--out", tmp_path / "p.csv"
    )  # fmt: skip
    assert result.exit_code == 3
    assert [row[0] for row in rows(tmp_path / "p.csv")] == ["signer2_sample4", "signer2_sample5"]
    failed = [line for line in result.stderr.splitlines() if line.startswith("failed: ")]
    assert len(failed) == 2
    assert re.search(r"broken \(frames\): .*broken_color.mp4: not a readable video", failed[0])
    assert re.search(r"unseen \(keypoints\): .*no keypoints of unseen", failed[1])
    assert not list(scratch.iterdir())


def test_what_is_odd_about_a_clip_is_said(checkpoint, tiny, tiny_work, tmp_path):
    keypoints = np.load(tiny_work / "keypoints" / "signer2_sample4.npy")
    keypoints[..., 1] = np.where(keypoints[..., 2] > 0, 120 - keypoints[..., 1], 0)
    (tmp_path / "kp").mkdir()
    np.save(tmp_path / "kp" / "signer2_sample4.npy", keypoints)
    clip = tiny / "mp4" / "val" / "signer2_sample4_color.mp4"
    options = ("--checkpoint", checkpoint, "--video", clip, "--out", tmp_path / "p.csv")
    assert "warning" not in run(*options, "--keypoints", tiny / "kp").stderr
    turned = run(*options, "--keypoints", tmp_path / "kp", "--any-estimator")
    assert turned.exit_code == 0, turned.output
    assert "warning: signer2_sample4: the person stands on the head" in turned.stderr


def test_a_failing_clip_that_a_template_names_is_left_out(checkpoint, tiny, tmp_path):
    folder = tmp_path / "clips"
    shutil.copytree(tiny / "mp4" / "val", folder)
    (folder / "broken_color.mp4").write_bytes(b"no video")
    (tmp_path / "template.csv").write_text("signer2_sample5\nbroken\nsigner2_sample4\n")
    common = ("--checkpoint", checkpoint, "--video", folder, "--keypoints", tiny / "kp", "--out", tmp_path / "p.csv")
    for more in ((), ("--top-k", "1")):
        result = run(*common, "--template", tmp_path / "template.csv", *more)
        assert result.exit_code == 3, result.output
        assert "failed: broken (frames)" in result.stderr
        found = rows(tmp_path / "p.csv")[1 if more else 0 :]
        assert [row[0] for row in found] == ["signer2_sample5", "signer2_sample4"]


def test_a_template_that_names_no_clip_is_refused_before_the_work(tiny, tmp_path):
    """Even before the checkpoint is read: there is none."""
    (tmp_path / "template.csv").write_text("signer2_sample5\nother\n")
    common = ("--checkpoint", tmp_path / "absent.pt", "--video", tiny / "mp4" / "val", "--keypoints", tiny / "kp")
    result = run(*common, "--out", tmp_path / "p.csv", "--template", tmp_path / "template.csv")
    assert result.exit_code == 2
    assert "template.csv: 1 of its ids are no samples here, e.g. other" in result.stderr


def test_when_every_clip_fails_nothing_is_written(checkpoint, tiny, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    result = run("--checkpoint", checkpoint, "--video", broken, "--keypoints", tiny / "kp", "--out", tmp_path / "p.csv")
    assert result.exit_code == 3
    assert "failed: broken (frames)" in result.stderr
    assert not (tmp_path / "p.csv").exists()


def test_a_clip_whose_name_macos_wrote(tiny, tmp_path):
    """Its accents stand apart from their letters: depth, keypoints and template are found, and the id has none such."""
    tiny_checkpoint(tmp_path / "best.pt", CLASSES, name="VTN_HCPF_D")
    apart, whole = "tie\u0302n", "ti\u00ean"
    for kind in ("color", "depth"):
        shutil.copy(tiny / "mp4" / "val" / f"signer2_sample4_{kind}.mp4", tmp_path / f"{apart}_{kind}.mp4")
    shutil.copytree(tiny / "kp" / "val" / "signer2_sample4_color.kp", tmp_path / "kp" / "val" / f"{apart}_color.kp")
    (tmp_path / "template.csv").write_text(f"{apart},0\n")
    clip, kept = ("--video", tmp_path / f"{apart}_color.mp4"), ("--out", tmp_path / "p.csv")
    inputs = ("--checkpoint", tmp_path / "best.pt", "--keypoints", tmp_path / "kp", "--template")
    result = run(*inputs, tmp_path / "template.csv", *clip, *kept)
    assert result.exit_code == 0, result.output
    assert [row[0] for row in rows(tmp_path / "p.csv")] == [whole]


def test_a_model_that_sees_depth_needs_the_depth_video(tiny, tmp_path):
    tiny_checkpoint(tmp_path / "best.pt", CLASSES, name="VTN_HCPF_D")
    clip = shutil.copy(tiny / "mp4" / "val" / "signer2_sample4_color.mp4", tmp_path)
    result = run(
        "--checkpoint", tmp_path / "best.pt", "--video", clip, "--keypoints", tiny / "kp", "--out", tmp_path / "p.csv"
    )
    assert result.exit_code == 3
    assert "signer2_sample4_depth.mp4" in result.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    (
        ("", "either --shards or --video"),
        ("--shards S --video CLIP", "either --shards or --video"),
        ("--shards S --pose mediapipe", "--pose goes with --video"),
        ("--shards S --overlay o.mp4", "--overlay goes with --video"),
        ("--video CLIP --pose import", "--pose import needs --keypoints"),
        ("--video CLIP --sliding 4 --windows 2", "give one of the two"),
        ("--video CLIP --sliding 4 --template t.csv", "take one answer per clip"),
        ("--video FOLDER --overlay OUT/o.mp4", "draws on one clip"),
        ("--video KEYPOINTS --overlay OUT/o.mp4", "kp: keypoints alone, and --overlay draws on a video"),
        ("--video CLIP --out CLIP", "has another part in this command already; give another file"),
        ("--video CLIP --overlay CLIP", "has another part in this command already; give another file"),
        ("--video CLIP --save-logits OUT/p.csv", "OUT/p.csv: has another part in this command already"),
        ("--video CLIP --overlay /nowhere/o.mp4", "/nowhere/o.mp4: its folder does not exist"),
        ("--video gone.mp4", "gone.mp4: no such file"),
        ("--video OUT", "a clip that is a folder of pictures goes through `pipeline run`"),
        ("--video CLIP --checkpoint gone.pt", "gone.pt"),
        ("--video CLIP --windows 0", "--windows"),
    ),
)
def test_wrong_options(options, says, checkpoint, tiny, tmp_path):
    stand_for = {"CLIP": next((tiny / "mp4" / "val").glob("*_color.mp4")), "FOLDER": tiny / "mp4" / "val"}
    stand_for["KEYPOINTS"] = next((tiny / "kp" / "val").iterdir())
    words = [str(stand_for.get(word, word)).replace("OUT", str(tmp_path)) for word in options.split()]
    result = run("--checkpoint", checkpoint, "--out", tmp_path / "p.csv", *words)
    assert result.exit_code == 2
    assert says.replace("OUT", str(tmp_path)) in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "p.csv").exists()


def test_names_of_clips(tmp_path):
    names = ("b_color.mp4", "a.MOV", "b_depth.mp4", "notes.txt", ".hidden.mp4")
    for name in names:
        (tmp_path / name).touch()
    clips = find_clips([tmp_path])
    assert {key: path.name for key, path in clips.items()} == {"a": "a.MOV", "b": "b_color.mp4"}
    assert find_clips([tmp_path / "a.MOV", tmp_path / "a.MOV"]) == {"a": tmp_path / "a.MOV"}
    (tmp_path / "a_depth.MOV").touch()
    depth = [tmp_path / "a_depth.MOV", tmp_path / "b_color.mp4", tmp_path / "b_depth.mp4"]
    assert find_clips(depth) == {"a_depth": depth[0], "b": depth[1]}
    (tmp_path / "a.mp4").touch()
    with pytest.raises(Exception, match="two clips named a; rename one"):
        find_clips([tmp_path])
    (tmp_path / "c.d.mp4").touch()
    with pytest.raises(Exception, match="an id cannot contain"):
        find_clips([tmp_path / "c.d.mp4"])


def test_quoted_globs(checkpoint, tiny, tmp_path):
    for fold in (2, 1):
        (tmp_path / f"fold{fold}").mkdir()
        shutil.copy(checkpoint, tmp_path / f"fold{fold}" / "best.pt")
    common = ("--keypoints", tiny / "kp", "--out", tmp_path / "p.csv", "--save-logits", tmp_path / "p.npz")
    models = ("--checkpoint", f"{tmp_path}/fold*/best.pt", "--weights", "1,3")
    # The folder has depth videos, too.
    assert run(*models, "--video", f"{tiny}/mp4/val/*.mp4", *common).exit_code == 0
    assert [row[0] for row in rows(tmp_path / "p.csv")] == ["signer2_sample4", "signer2_sample5"]
    with np.load(tmp_path / "p.npz") as file:
        found = [json.loads(line) for line in file["models"].tolist()]
    weights = {model["checkpoint"]: model["weight"] for model in found}
    assert weights == {str(tmp_path / "fold1" / "best.pt"): 0.25, str(tmp_path / "fold2" / "best.pt"): 0.75}
    result = run(*models, "--video", f"{tiny}/mp4/val/*.webm", *common)
    assert result.exit_code == 2
    assert result.stderr.endswith("mp4/val/*.webm: names no file; give another pattern\n")
    result = run("--checkpoint", f"{tmp_path}/fold*/best.pt", tmp_path / "fold1" / "best.pt", "--video", tiny, *common)
    assert "fold1/best.pt: given twice" in result.stderr


def test_a_wrong_device_is_said_before_any_clip_is_worked_on(checkpoint, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("train.predict.predict.shards_of_videos", lambda *_: pytest.fail("worked on"))
    common = ("--checkpoint", checkpoint, "--video", tiny / "mp4" / "val", "--keypoints", tiny / "kp")
    result = run(*common, "--out", tmp_path / "p.csv", "--device", "cuda:99")
    assert result.exit_code == 2
    assert "--device cuda:99: torch sees" in result.output


def test_a_signal_leaves_nothing_behind(checkpoint, tiny, tmp_path, scratch):
    slow = tmp_path / "openpose.bin"
    slow.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\nexec sleep 100\n")
    slow.chmod(0o755)
    clip = next((tiny / "mp4" / "val").glob("*_color.mp4"))
    command = [sys.executable, "-m", "train.predict.cli", "--checkpoint", checkpoint, "--video", clip]
    command += ["--pose", "openpose", "--openpose-bin", slow, "--out", tmp_path / "p.csv", "--device", "cpu"]
    with subprocess.Popen(
        list(map(str, command)), cwd=ROOT, stderr=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(scratch)}
    ) as process:
        end = time.monotonic() + 90
        while not (tmp_path / "started").exists() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said.splitlines()[-1] == "Error: stopped by SIGTERM; no file is half written"
    assert "Traceback" not in said
    assert not [entry.name for entry in scratch.iterdir() if entry.name.startswith("signshards")]
    assert not (tmp_path / "p.csv").exists()


def test_only_predict_knows_of_the_pipeline():
    knowing = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "train").rglob("*.py")
        if re.search(r"^\s*(from|import) pipeline", path.read_text(), re.M)
    ]
    assert sorted(knowing) == [f"train/predict/{name}.py" for name in ("cli", "predict", "recognizer")]


@pytest.mark.slow
def test_mediapipe_on_a_real_clip(tmp_path, monkeypatch):
    monkeypatch.delenv("TMPDIR")
    clips = ROOT.parent / "shared" / "data" / "karsl-clips" / "test"
    if not clips.is_dir():
        pytest.skip(f"{clips} is not here: the real clips are not part of the project")
    clip = sorted(clips.glob("*.mp4"))[0]
    (tmp_path / "data.csv").write_text(f"id,split,signer,label,color\n{clip.stem},test,,0,{clip}\n")
    (tmp_path / "classes.csv").write_text("ClassId,EN\n0,zero\n1,one\n2,two\n")
    arguments = ["run", "--data", tmp_path / "data.csv", "--classes", tmp_path / "classes.csv", "--pose", "mediapipe"]
    result = CliRunner().invoke(pipeline, list(map(str, [*arguments, "--work", tmp_path / "work", "--jobs", "1"])))
    assert result.exit_code == 0, result.output
    tiny_checkpoint(tmp_path / "best.pt", ["zero", "one", "two"])
    common = ("--checkpoint", tmp_path / "best.pt", "--out", tmp_path / "p.csv", "--save-logits", tmp_path / "p.npz")
    assert run(*common, "--shards", tmp_path / "work" / "shards").exit_code == 0
    through_shards = logits(tmp_path / "p.npz")
    result = run(*common, "--video", clip, "--pose", "mediapipe", "--top-k", "3", "--overlay", tmp_path / "drawn.mp4")
    assert result.exit_code == 0, result.output
    assert_same(logits(tmp_path / "p.npz"), through_shards)
    assert {row[3] for row in rows(tmp_path / "p.csv")[1:]} == {"zero", "one", "two"}
    assert (tmp_path / "drawn.mp4").stat().st_size > 10_000
