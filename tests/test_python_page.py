"""The code of docs/python.md, run as it stands on the demo's shards and model."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.data.clip_making import make_clip, moving_keypoints, write_keypoints
from helpers.data.shard_making import Plan, make_shards
from helpers.models.tiny_model import tiny_pose_checkpoint
from helpers.processes.train_runs import tiny_arguments
from scipy.special import softmax
from torch.utils.data import DataLoader

from shards.errors import InputError
from shards.format.shardset import open_shards
from train.cli import main as train
from train.data.window import Window
from train.predict.checkpoint_model import ComputeSettings
from train.predict.recognizer import Recognizer
from train.sample_dataset import SampleDataset

PAGE = Path(__file__).parents[1] / "docs" / "python.md"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, ffmpeg: str) -> Path:
    """A folder in which demo/work/shards and demo/run are, smaller than `pipeline demo` makes them."""
    folder = tmp_path_factory.mktemp("python")
    (folder / "demo/work").mkdir(parents=True)
    shards = make_shards(folder / "demo/work/shards", Plan({"test": 3, "train": 6, "val": 3}, estimator="import"))
    few = tiny_arguments(shards, folder / "demo/run", "--max-epochs", 1, "--num-workers", 0)
    with pytest.raises(SystemExit):
        train(few)
    (folder / "demo/run_pose").mkdir()
    names = open_shards(str(shards)).dataset.classes
    tiny_pose_checkpoint(folder / "demo/run_pose/best.pt", names, estimator="import", clip_frames=9)
    video = folder / "demo/clips/mp4/test/signer14_sample1_color.mp4"
    video.parent.mkdir(parents=True)
    make_clip(ffmpeg, video, 20)
    points = moving_keypoints(20, 1)
    write_keypoints(folder / "demo/clips/kp/signer14_sample1_color.kp", "signer14_sample1_color", points)
    (folder / "demo/work/keypoints").mkdir()
    np.save(folder / "demo/work/keypoints/signer14_sample1.npy", points)
    return folder


def test_the_code_runs_and_prints_what_its_comments_say(demo: Path) -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL))
    environment = os.environ | {"PYTHONPATH": str(PAGE.parents[1]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=demo, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    printed = result.stdout
    assert "torch.Size([8, 2, 3, 32, 32]) torch.Size([8, 106])" in printed
    assert printed.startswith("<ShardSet demo/work/shards: 12 samples (test 3, train 6, val 3), 3 classes>")


def test_samples_give_the_logits_of_predict(demo: Path) -> None:
    shards = open_shards(str(demo / "demo/work/shards/test-*.tar"))
    recognizer = Recognizer.load(demo / "demo/run/best.pt", settings=ComputeSettings(num_workers=0, device="cpu"))
    assert "VTN_HCPF, 3 classes, on cpu" in repr(recognizer)
    assert [len(repr(one)) < 200 for one in (shards, shards.dataset, recognizer._checkpoints[0])] == [True] * 3
    prediction = recognizer.predict(shards)
    dataset = SampleDataset(shards, window=Window(length=4, stride=2), image_size=32)
    model = recognizer._models[0]._model
    with torch.inference_mode():
        found = [model(*(tensor[None] for tensor in dataset[place][0]))[0].numpy() for place in range(len(dataset))]
    assert np.allclose(found, prediction.logits, atol=1e-4)
    assert [dataset[place][1] for place in range(len(dataset))] == shards.labels.tolist()


def test_keypoints_give_the_same_answer_in_any_way(demo: Path, tmp_path: Path) -> None:
    """An array, its file and OpenPose's JSON; of two models, the mean of their probabilities."""
    model, points = demo / "demo/run_pose/best.pt", np.load(demo / "demo/work/keypoints/signer14_sample1.npy")
    recognizer = Recognizer.load(model, settings=ComputeSettings(num_workers=0, device="cpu"))
    np.save(tmp_path / "clip.npy", points)
    sources = (points, tmp_path / "clip.npy", demo / "demo/clips/kp/signer14_sample1_color.kp")
    found = [recognizer.predict(source) for source in sources]
    assert [one.ids for one in found] == [["keypoints"], ["clip"], ["signer14_sample1"]]
    assert np.allclose(found[0].logits, found[1].logits, atol=1e-5)
    assert np.allclose(found[0].logits, found[2].logits, atol=1e-3)
    shards = open_shards(demo / "demo/work/shards")
    both = Recognizer.load([model, model], [1, 3], ComputeSettings(num_workers=0, device="cpu"))
    assert np.allclose(softmax(both.predict(points).logits), softmax(found[0].logits), atol=1e-6)
    assert repr(found[0]).startswith("<Prediction of 1, 3 classes; keypoints: class ")
    for wrong, part in ((points[:, :17], "without hands"), (np.zeros((3, 135, 3)), "no clip could be used")):
        with pytest.raises(InputError, match=part):
            recognizer.predict(wrong)
    with pytest.raises(InputError, match="the model sees hand crops; give the video"):
        Recognizer.load(demo / "demo/run/best.pt").predict(points)
    for nothing, part in (([], "no video is given"), (shards.take(np.array([], int)), "no sample was taken")):
        with pytest.raises(InputError, match=part):
            recognizer.predict(nothing)
    with pytest.raises(InputError, match="1 weights for 2 models"):
        Recognizer.load([model, model], [1])


def test_samples_travel_to_workers_and_end(demo: Path) -> None:
    shards = open_shards(str(demo / "demo/work/shards"))
    dataset = SampleDataset(shards, window=Window(length=4), image_size=32)
    dataset[0]
    seen = [int(label) for _, labels in DataLoader(dataset, 5, num_workers=1) for label in labels]
    assert seen == shards.labels.tolist()
    with pytest.raises(IndexError):
        dataset[len(dataset)]
    with pytest.raises(InputError, match="no depth"):
        SampleDataset(shards, "VTN_HCPF_D")
