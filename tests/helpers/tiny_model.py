"""A checkpoint of the smallest model there is, with random weights."""

from pathlib import Path

import torch

from shards.format.recipe import DEFAULT, Recipe
from train.data.window import Window
from train.fit.checkpoint import Checkpoint
from train.models.vtn import VTN, ModelSettings

WINDOW = Window(4, 2)
# On busy cores, threads wait for each other: with eight runnable processes on two cores, a test took 20 times as long.
torch.set_num_threads(1)


def tiny_checkpoint(
    path: Path, classes: list[str], recipe: Recipe = DEFAULT, name: str = "VTN_HCPF", window: Window = WINDOW
) -> Checkpoint:
    """Write it; what it says depends on its input, though it means nothing."""
    settings = ModelSettings(
        name, len(classes), cnn="rn18", sequence_length=window.length, num_layers=1, num_heads=2, embed_size=16
    )
    torch.manual_seed(7)
    model = VTN(settings, recipe).eval()
    checkpoint = Checkpoint(model.state_dict(), settings, recipe, window, 32, classes)
    checkpoint.write(path)
    return checkpoint
