"""Several checkpoints as one recognizer, and the model that sees keypoints alone, on shards."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.models.tiny_model import tiny_checkpoint, tiny_pose_checkpoint
from helpers.processes.predict_runs import predict, rows
from scipy.special import softmax

from shards.format.recipe import REFERENCE
from shards.format.shardset import open_shards
from train.predict.sliding import window_view
from train.predict.view_average import ViewSettings

CLASSES = ["class 0", "class 1", "class 2"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Of crops and of keypoints."""
    folder = tmp_path_factory.mktemp("models")
    tiny_checkpoint(folder / "rgb.pt", CLASSES)
    tiny_pose_checkpoint(folder / "pose.pt", CLASSES, clip_frames=9)
    return folder / "rgb.pt", folder / "pose.pt"


def refused(*arguments) -> str:
    result = predict(*arguments)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1), result.output
    return result.stderr


def logits(tmp_path: Path, shards, *arguments) -> np.ndarray:
    path = tmp_path / "l.npz"
    more = ("--shards", shards, "--out", tmp_path / "p.csv", "--save-logits", path)
    result = predict(*arguments, *more)
    assert result.exit_code == 0, result.output
    with np.load(path) as file:
        return file["logits"]


def test_the_mean_of_probabilities(models, small, tmp_path):
    rgb, pose = (logits(tmp_path, small, "--checkpoint", model) for model in models)
    assert np.abs(softmax(rgb, axis=1) - softmax(pose, axis=1)).max() > 0.01
    for more, weight in (((), 0.5), (("--weights", "0.2,0.8"), 0.2), (("--weights", "1,0"), 1)):
        both = logits(tmp_path, small, "--checkpoint", models[0], "--checkpoint", models[1], *more)
        expected = weight * softmax(rgb, axis=1) + (1 - weight) * softmax(pose, axis=1)
        assert np.allclose(softmax(both, axis=1), expected, atol=1e-6)
    assert np.array_equal(both, logits(tmp_path, small, "--checkpoint", *models, "--weights", "1,0"))


def test_weights_from_a_file(models, small, tmp_path):
    (tmp_path / "w.json").write_text(json.dumps({"weights": [0.3, 0.7], "chosen_on": []}))
    found = logits(tmp_path, small, "--checkpoint", *models, "--weights", tmp_path / "w.json")
    assert np.array_equal(found, logits(tmp_path, small, "--checkpoint", *models, "--weights", "0.3,0.7"))
    common = ("--shards", small, "--out", tmp_path / "p.csv", "--checkpoint", *models, "--weights")
    for content in ("[]", "{", '{"weights": 3}', '{"weights": ["a", "b"]}'):
        (tmp_path / "w.json").write_text(content)
        assert "w.json: expected numbers such as" in refused(*common, tmp_path / "w.json")
    assert "gone.json: cannot be read" in refused(*common, tmp_path / "gone.json")
    assert "3 weights for 2 models" in refused(*common, "1,1,1")
    assert "for fusing several models" in refused(*common[:4], "--checkpoint", models[0], "--weights", "1")


def test_checkpoints_that_do_not_fit_together(models, small, tmp_path):
    common = ("--shards", small, "--out", tmp_path / "p.csv", "--checkpoint", models[0])
    tiny_pose_checkpoint(tmp_path / "four.pt", [*CLASSES, "class 3"])
    tiny_pose_checkpoint(tmp_path / "others.pt", ["class 0", "class 2", "class 1"])
    tiny_pose_checkpoint(tmp_path / "reference.pt", CLASSES, REFERENCE)
    assert "four.pt: knows 4 classes" in refused(*common, tmp_path / "four.pt")
    assert "others.pt: its class 1 is 'class 2'" in refused(*common, tmp_path / "others.pt")
    assert "reference.pt: of the reference recipe" in refused(*common, tmp_path / "reference.pt")
    # One without names, as imported ones are, goes with any; the two after it do not go together.
    replace(tiny_checkpoint(tmp_path / "unnamed.pt", CLASSES), classes=None).write(tmp_path / "unnamed.pt")
    line = refused(*common[:-1], tmp_path / "unnamed.pt", models[1], tmp_path / "others.pt")
    assert "others.pt: its class 1 is 'class 2'" in line
    assert str(models[1]) in line
    assert not (tmp_path / "p.csv").exists()


def test_another_estimator_is_refused_unless_it_is_wanted(models, made, tmp_path):
    shards = made(splits={"val": 4}, estimator="mediapipe")
    tiny_pose_checkpoint(tmp_path / "same.pt", CLASSES, estimator="mediapipe")
    tiny_pose_checkpoint(tmp_path / "other.pt", CLASSES, estimator="openpose")
    common = ("--shards", shards, "--out", tmp_path / "p.csv", "--checkpoint")
    assert predict(*common, tmp_path / "same.pt").exit_code == 0
    assert predict(*common, models[1]).exit_code == 0  # which does not say whose it knows
    line = refused(*common, tmp_path / "other.pt")
    assert "has keypoints of mediapipe, but " in line
    assert "other.pt was trained on those of openpose" in line
    assert predict(*common, tmp_path / "other.pt", "--any-estimator").exit_code == 0
    both = (tmp_path / "same.pt", tmp_path / "other.pt")
    assert "other.pt: trained on keypoints of openpose" in refused(*common, *both)
    assert predict(*common, *both, "--any-estimator").exit_code == 0


def test_keypoints_are_enough_for_a_model_that_sees_no_more(models, made, tmp_path):
    shards = made(splits={"val": 6}, keypoints_only=2)
    assert len(logits(tmp_path, shards, "--checkpoint", models[1])) == 6
    line = refused("--checkpoint", *models, "--shards", shards, "--out", tmp_path / "p.csv")
    assert "3 samples are without video, e.g. val_sample" in line


def test_mirror_and_windows_of_whole_clips(models, small, tmp_path):
    model = ("--checkpoint", models[1])
    plain = logits(tmp_path, small, *model)
    for more in (("--mirror",), ("--windows", 3)):
        assert np.abs(logits(tmp_path, small, *model, *more) - plain).max() > 1e-3
    parts = [view.part for view in ViewSettings(windows=3).views(True)]
    assert np.allclose(parts, [(0.025, 0.875), (0.075, 0.925), (0.125, 0.975)])
    assert [view.part for view in ViewSettings().views(True)] == [(0, 1)]


@pytest.mark.parametrize("more", [("--mirror",), ("--windows", 2), ("--sliding", 3)])
def test_the_quirks_of_a_recipe_do_not_concern_keypoints(made, tmp_path, more):
    shards = made(splits={"val": 4}, recipe=REFERENCE)
    tiny_pose_checkpoint(tmp_path / "pose.pt", CLASSES, REFERENCE, clip_frames=6)
    tiny_checkpoint(tmp_path / "rgb.pt", CLASSES, REFERENCE)
    common = ("--shards", shards, "--out", tmp_path / "p.csv", *more, "--checkpoint", tmp_path / "pose.pt")
    assert predict(*common).exit_code == 0
    line = refused(*common, tmp_path / "rgb.pt")
    assert "off_centre_window" in line or "flip_pixels_only" in line


def test_sliding_windows_are_as_long_as_the_longest_model_sees(models, small, tmp_path):
    """The model of crops sees 7 frames at a time, that of keypoints 9, as long as its training clips."""
    shards = open_shards(str(small))
    longest = int(shards.frames.argmax())
    frames, sample_id = int(shards.frames[longest]), shards.ids[longest].as_py()
    for chosen, span in ((models[:1], 7), (models[1:], 9), (models, 9)):
        common = ("--checkpoint", *chosen, "--shards", small, "--sliding", 2, "--out", tmp_path / "p.csv")
        assert predict(*common).exit_code == 0
        times = [row[1:3] for row in rows(tmp_path / "p.csv")[1:] if row[0] == sample_id]
        starts = [*range(0, frames - span, 2), frames - span]
        assert np.allclose(np.array(times, float), [[n / 30, (n + span) / 30] for n in starts], atol=1e-3)


def test_a_model_sees_the_middle_of_a_longer_window():
    assert window_view(4, 9, 9, 20, True).part == (4 / 19, 12 / 19)
    assert window_view(4, 9, 5, 20, True).part == (6 / 19, 10 / 19)
    assert window_view(0, 9, 9, 5, True).part == (0, 1)
    assert window_view(0, 9, 9, 1, True).part == (0, 0)
    for start in range(12):
        first = int(window_view(start, 9, 7, 20, False).start * 14)
        assert first == start + 1


def test_a_checkpoint_keeps_the_span_of_its_clips(tmp_path):
    checkpoint = tiny_pose_checkpoint(tmp_path / "pose.pt", CLASSES, clip_frames=40)
    assert checkpoint.span == 40
    assert replace(checkpoint, clip_frames=None).span == 6
    assert tiny_checkpoint(tmp_path / "rgb.pt", CLASSES).span == 7
