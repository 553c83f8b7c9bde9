"""Checkpoints of the smallest models there are, with random weights."""

from pathlib import Path

import torch

from shards.format.recipe import DEFAULT, Recipe
from train.data.window import Window
from train.fit.checkpoint import Checkpoint
from train.models.vtn import VTN, ModelSettings
from train.skeleton.model import PoseNet, PoseSettings

WINDOW = Window(4, 2)
# On busy cores, threads wait for each other: with eight runnable processes on two cores, a test took 20 times as long.
torch.set_num_threads(1)


def tiny_checkpoint(
    path: Path, classes: list[str], recipe: Recipe = DEFAULT, name: str = "VTN_HCPF", window: Window = WINDOW
) -> Checkpoint:
    """Write it; what it says depends on its input, though it means nothing."""
    settings = ModelSettings(
        name, len(classes), cnn="small", sequence_length=window.length, num_layers=1, num_heads=2, embed_size=16
    )
    torch.manual_seed(7)
    model = VTN(settings, recipe).eval()
    checkpoint = Checkpoint(model.state_dict(), settings, recipe, window, 32, classes)
    checkpoint.write(path)
    return checkpoint


def tiny_pose_checkpoint(path: Path, classes: list[str], recipe: Recipe = DEFAULT, **more) -> Checkpoint:
    """Likewise, of a model that sees keypoints; `more`: `estimator`, `clip_frames`."""
    settings = PoseSettings(len(classes), sequence_length=6, num_layers=1, embed_size=8)
    torch.manual_seed(9)
    model = PoseNet(settings).eval()
    torch.nn.init.normal_(model.classifier.weight)  # as built, all logits are close to 0
    checkpoint = Checkpoint(model.state_dict(), settings, recipe, Window(6, 1), 224, classes, **more)
    checkpoint.write(path)
    return checkpoint
