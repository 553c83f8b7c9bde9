"""What a logits file says of the models that gave it."""

import json
from pathlib import Path

import pytest
from helpers.models.tiny_model import tiny_checkpoint, tiny_pose_checkpoint
from helpers.processes.predict_runs import predict

from train.evaluate.logits import ModelRecord, read_logits
from train.fit.checkpoint import read_checkpoint
from train.fit.settings import in_files

CLASSES = ["class 0", "class 1", "class 2"]


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    """Of crops, in a run folder with its `config.json`, and of keypoints, in one without."""
    paths = [tmp_path / "rgb" / "best.pt", tmp_path / "pose" / "best.pt"]
    for path in paths:
        path.parent.mkdir()
    tiny_checkpoint(paths[0], CLASSES)
    tiny_pose_checkpoint(paths[1], CLASSES, clip_frames=9)
    settings = {
        "shards": ["a-*.tar", "b-*.tar"],
        "model": in_files(read_checkpoint(paths[0]).model_settings),
        "loader": {"window": {"length": 4, "stride": 2}, "batch_size": 4, "workers": 3, "rank": 0},
        "optimiser": {"learning_rate": 0.003, "step_size": 5},
        "init": None,
        "recipe": None,
        "cache": {"cache": "/root/.cache"},
    }
    about = {"device": "x86_64", "processes": 1, "git": None, "versions": {"python": "3.11.7", "torch": "2.6.0"}}
    (paths[0].parent / "config.json").write_text(json.dumps({"settings": settings, **about}))
    return paths


def records(folder: Path, shards: Path, *arguments: object) -> tuple[ModelRecord, ...]:
    files = ("--shards", f"{shards}/val-*.tar", "--out", folder / "p.csv", "--save-logits", folder / "l.npz")
    result = predict(*arguments, *files)
    assert result.exit_code == 0, result.output
    return read_logits(folder / "l.npz").models


def test_settings_by_the_names_of_the_flags(models: list[Path], small: Path, tmp_path: Path) -> None:
    first, second = records(tmp_path, small, "--checkpoint", *models, "--weights", "1,3", "--mirror")
    assert [(one.checkpoint, one.weight) for one in (first, second)] == [(str(models[0]), 0.25), (str(models[1]), 0.75)]
    assert (first.settings["model"], second.settings["model"]) == ("VTN_HCPF", "POSE")
    expected = {"shards": "a-*.tar b-*.tar", "num_workers": "3", "learning_rate": "0.003", "lr_step_size": "5"}
    expected |= {"init": "none", "versions": "python 3.11.7, torch 2.6.0", "predict --mirror": "yes"}
    assert {name: first.settings.get(name) for name in expected} == expected
    assert first.settings["recipe"] == "default"  # the checkpoint's, not the option
    assert not {"rank", "cache", "window", "length"} & first.settings.keys()
    # What the checkpoint itself says is there without a config.json; how it was trained is not.
    assert second.settings["num_classes"] == "3"
    assert "learning_rate" not in second.settings


@pytest.mark.parametrize("change", ["other model", "damaged", "no settings"])
def test_a_config_of_something_else_is_not_believed(
    models: list[Path], small: Path, tmp_path: Path, change: str
) -> None:
    config = models[0].parent / "config.json"
    value = json.loads(config.read_text())
    value["settings"]["model"]["embed_size"] += 2
    config.write_text({"other model": json.dumps(value), "damaged": "{", "no settings": "[]"}[change])
    (found,) = records(tmp_path, small, "--checkpoint", models[0])
    assert found.weight == 1
    assert found.settings["model"] == "VTN_HCPF"
    assert "learning_rate" not in found.settings
