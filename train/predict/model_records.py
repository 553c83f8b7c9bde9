"""What a logits file says of the models that gave it: what they are, and how they were trained."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from train.evaluate.logits import ModelRecord
from train.fit.checkpoint import Checkpoint
from train.fit.run_folder import CONFIG
from train.fit.settings import flag_name, in_files
from train.predict.view_average import ViewSettings

# Of a run's settings: what the checkpoint has, too, or is of a process or a machine.
_LEFT_OUT = {"model", "recipe", "step.image_size", "cache"}
_LEFT_OUT |= {f"loader.{name}" for name in ("window", "recipe", "rank", "ranks", "with_depth")}


def model_records(
    paths: Sequence[Path], checkpoints: Sequence[Checkpoint], weights: np.ndarray, views: ViewSettings
) -> tuple[ModelRecord, ...]:
    """A record of each checkpoint.

    A checkpoint holds what the model is; how it was trained is in the `config.json` of its run folder. Where that does
    not lie beside it, or is another model's, the record does without.

    Args:
        paths: of the checkpoints.
        checkpoints: what the files hold.
        weights: float (M,), of each, of sum 1.
        views: how clips were shown to them.
    """
    shown = {"predict --windows": str(views.windows), "predict --mirror": _text(views.mirror)}
    return tuple(
        ModelRecord(str(path), float(weight), _of_model(checkpoint) | _of_training(path, checkpoint) | shown)
        for path, checkpoint, weight in zip(paths, checkpoints, weights, strict=True)
    )


def _of_model(checkpoint: Checkpoint) -> dict[str, str]:
    found = dict(_flat(asdict(checkpoint.model_settings)))
    found |= {"temporal_stride": str(checkpoint.window.stride), "image_size": str(checkpoint.image_size)}
    found |= {"recipe": checkpoint.recipe.name, "estimator": checkpoint.estimator or "not known"}
    return {"model": found.pop("name"), **found}


def _of_training(path: Path, checkpoint: Checkpoint) -> dict[str, str]:
    """{} where no `config.json` of this model lies beside it."""
    try:
        config = json.loads((path.parent / CONFIG).read_bytes())
        settings = config["settings"]
        if settings["model"] != in_files(checkpoint.model_settings):
            return {}
        versions = ", ".join(f"{package} {number}" for package, number in config["versions"].items() if number)
        others = {"device": config["device"], "processes": config["processes"], "commit": config["git"]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return dict(_flat(settings)) | {name: _text(value) for name, value in others.items()} | {"versions": versions}


def _flat(settings: Mapping[str, object], group: str = "") -> Iterator[tuple[str, str]]:
    """Every setting by the name of its flag; groups of settings without their own."""
    for name, value in settings.items():
        if f"{group}{name}" in _LEFT_OUT:
            continue
        if isinstance(value, dict):
            yield from _flat(value, f"{name}.")
        else:
            yield flag_name(name), _text(value)


def _text(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
