"""`train --init`: a start from another model's weights, with a new head where the classes are others."""

from pathlib import Path

from torch import nn

from shards.errors import InputError
from train.fit.checkpoint import read_checkpoint
from train.models.weights import load_state

_HEAD = "classifier."  # of every kind of model


def take_weights(model: nn.Module, path: Path, classes: list[str]) -> str:
    """Start a model from the weights of a checkpoint: every one that has a name and a shape of the model's own.

    The head is taken only where the checkpoint's classes are these in the same order. A model of other settings, or of
    the other kind with or without depth, gives the parts that are alike, such as its ResNet.

    Args:
        model: changed in place.
        path: a checkpoint of ours.
        classes: names of the classes that the model is to tell apart.

    Returns:
        One line that says what was taken and what starts anew.

    Raises:
        InputError: no such checkpoint, or nothing of it fits.
    """
    checkpoint = read_checkpoint(path)
    own, same_classes = model.state_dict(), checkpoint.classes == classes
    taken = {
        name: value
        for name, value in checkpoint.model.items()
        if name in own and own[name].shape == value.shape and (same_classes or not name.startswith(_HEAD))
    }
    if not any(name in taken for name, _ in model.named_parameters()):
        other = checkpoint.model_settings.name
        raise InputError(f"{path}: no weights of its model, {other}, fit this one; give --init a model of this kind")
    load_state(model, own | taken, path)
    new = dict.fromkeys(_part(name) for name in own if name not in taken and not name.endswith("num_batches_tracked"))
    left = f"; new: {', '.join(new)}" if new else ""
    why = "" if same_classes else " (its classes are others)"
    return f"{path}: {len(taken)} of {len(own)} weights taken{left}{why}"


def _part(name: str) -> str:
    """The part of a model that a weight belongs to, as `classifier` or `blocks.0`."""
    first, second, *_ = [*name.split("."), ""]
    return f"{first}.{second}" if second.isdigit() else first
