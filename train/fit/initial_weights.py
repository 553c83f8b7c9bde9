"""`train --init`: a start from another model's weights, with new rows in the head for classes that it does not know."""

from pathlib import Path

import torch
from torch import Tensor

from shards.errors import InputError
from train.fit.checkpoint import Checkpoint, read_checkpoint
from train.models.streams import AnyModel, stream_of
from train.models.weights import load_state

_HEAD = "classifier."  # of every kind of model; its first dimension is the classes
_NAMED = 3  # classes in a line


def take_weights(model: AnyModel, path: Path, classes: list[str], estimator: str | None = None) -> list[str]:
    """Start a model from the weights of a checkpoint: every one that has a name and a shape of the model's own.

    The head is taken class by class, by name; classes that the checkpoint does not know keep the weights that the model
    has. A model of other settings, or of the other kind with or without depth, gives the parts that are alike, such as
    its ResNet.

    Args:
        model: changed in place.
        path: a checkpoint of ours.
        classes: names of the classes that the model is to tell apart.
        estimator: whose keypoints it is to be trained on; None where that is not known.

    Returns:
        Lines that say what was taken, what starts anew, and what to know of it.

    Raises:
        InputError: no such checkpoint, one of another kind of model, or nothing of it fits.
    """
    checkpoint = read_checkpoint(path)
    _check_kind(model, checkpoint, path)
    own, rows = model.state_dict(), _known_rows(checkpoint.classes, classes)
    taken = {
        name: value
        for name, value in checkpoint.model.items()
        if name in own and own[name].shape == value.shape and not name.startswith(_HEAD)
    }
    if not any(name in taken for name, _ in model.named_parameters()):
        raise InputError(f"{path}: no weights of its model fit this one; give --init a model of these settings")
    head = _head(own, checkpoint.model, rows)
    load_state(model, own | taken | head, path)
    lines = [f"{path}: {len(taken | head)} of {len(own)} weights taken{_new_parts(own, taken | head)}"]
    if head:
        lines.append(_head_line(path, checkpoint.classes or [], classes, len(rows)))
    if estimator and checkpoint.estimator and estimator != checkpoint.estimator:
        lines.append(
            f"note: {path} was trained on keypoints of {checkpoint.estimator}, these are of {estimator}: both place "
            "the points differently"
        )
    return lines


def _check_kind(model: AnyModel, checkpoint: Checkpoint, path: Path) -> None:
    """InputError for a model of another kind, or with another ResNet, whose blocks have the same names and shapes."""
    here, there = model.settings, checkpoint.model_settings
    if stream_of(here.name).settings is not stream_of(there.name).settings:
        raise InputError(
            f"{path}: is a model {there.name}, which has nothing in common with {here.name}; give --init a model of "
            f"this kind, or --model {there.name}"
        )
    cnn, other = getattr(here, "cnn", None), getattr(there, "cnn", None)
    if cnn != other:
        raise InputError(f"{path}: its ResNet is {other}, not {cnn}; give --cnn {other}")


def _known_rows(known: list[str] | None, classes: list[str]) -> list[tuple[int, int]]:
    """(row here, row there) of the classes in both lists.

    Without names, classes have their numbers for names: such lists tell nothing of the classes, so they are the same
    only as a whole.
    """
    if known == classes:
        return [(number, number) for number in range(len(classes))]
    if known is None or all(name.isdigit() for name in known) or all(name.isdigit() for name in classes):
        return []
    places = {name: number for number, name in enumerate(known) if known.count(name) == 1}
    return [(here, places[name]) for here, name in enumerate(classes) if name in places and classes.count(name) == 1]


def _head(own: dict[str, Tensor], other: dict[str, Tensor], rows: list[tuple[int, int]]) -> dict[str, Tensor]:
    """The head's weights, with the rows of the known classes from the checkpoint; none where no class is known."""
    names = [name for name in own if name.startswith(_HEAD)]
    if not rows or any(name not in other or own[name].shape[1:] != other[name].shape[1:] for name in names):
        return {}
    here, there = (torch.tensor(places) for places in zip(*rows, strict=True))
    return {name: own[name].clone().index_copy_(0, here, other[name][there]) for name in names}


def _head_line(path: Path, known: list[str], classes: list[str], rows: int) -> str:
    if rows < len(classes):
        new = [name for name in classes if name not in known]
        more = f", … ({len(new)})" if len(new) > _NAMED else ""
        return f"{path}: {rows} of {len(classes)} classes taken by name; new: {', '.join(new[:_NAMED])}{more}"
    if all(name.isdigit() for name in classes):
        return f"{path}: its {rows} classes have numbers for names; they are taken for the same {rows}"
    return f"{path}: all {rows} classes taken by name"


def _new_parts(own: dict[str, Tensor], taken: dict[str, Tensor]) -> str:
    new = dict.fromkeys(_part(name) for name in own if name not in taken and not name.endswith("num_batches_tracked"))
    return f"; new: {', '.join(new)}" if new else ""


def _part(name: str) -> str:
    """The part of a model that a weight belongs to, as `classifier` or `blocks.0`."""
    first, second, *_ = [*name.split("."), ""]
    return f"{first}.{second}" if second.isdigit() else first
