"""Checkpoints: a model with everything needed to use it, and, for resuming, everything needed to go on."""

import errno
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from shards.errors import InputError, escaped
from shards.files import check_output, whole_file
from shards.format.recipe import Recipe, recipe_from_json
from train.data.window import Window
from train.models.streams import AnyModel, AnySettings, stream_of
from train.models.weights import check_state, load_state, load_untrusted

FORMAT = "signshards-checkpoint-1"
_LARGEST = 10**5  # beyond all use, of a side in pixels or a stride in frames


@dataclass(frozen=True, repr=False)
class Checkpoint:
    """What a checkpoint file holds."""

    model: dict[str, torch.Tensor]  # state dict
    model_settings: AnySettings
    recipe: Recipe
    window: Window
    image_size: int
    classes: list[str] | None  # names; None where an imported checkpoint has none
    training: dict[str, Any] = field(default_factory=dict)  # for --resume; empty in a file that is only for prediction
    estimator: str | None = None  # whose keypoints it was trained on; None where that is not known
    clip_frames: int | None = None  # the median of its training clips, likewise

    def __repr__(self) -> str:
        return f"<Checkpoint of {self.model_settings}, recipe {self.recipe.name}, {len(self.model)} weights>"

    @property
    def span(self) -> int:
        """Frames of video, from the first to the last, that the model sees of a longer one at a time."""
        whole_clips = stream_of(self.model_settings.name).whole_clips
        return self.clip_frames if whole_clips and self.clip_frames else self.window.span

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all.

        Raises:
            InputError: there is no such folder.
            OSError: it cannot be written to.
        """
        value = {
            "format": FORMAT,
            "model": self.model,
            "model_settings": asdict(self.model_settings),
            "recipe": self.recipe.to_json(),
            "window": asdict(self.window),
            "image_size": self.image_size,
            "classes": self.classes,
            "estimator": self.estimator,
            "clip_frames": self.clip_frames,
        }
        if self.training:
            value["training"] = self.training
        check_output(path)
        with whole_file(path) as temporary:
            _save(value, temporary)

    def build(self, source: Path | str = "checkpoint") -> AnyModel:
        """The model with its weights, on the CPU, in evaluation mode; `source` is named in errors.

        Raises:
            InputError: the weights do not fit the settings, or are not finite.
        """
        build = stream_of(self.model_settings.name).build
        # First without memory: the settings in a damaged file may be those of a model larger than all memory.
        with torch.device("meta"):
            check_state(build(self.model_settings, self.recipe), self.model, source)
        model = build(self.model_settings, self.recipe)
        load_state(model, self.model, source)
        return model.eval()


def _save(value: dict[str, Any], path: Path) -> None:
    """`torch.save`, whose zip writer hides the OSError of a full disk behind a RuntimeError of many lines."""
    try:
        with path.open("wb") as file:  # of a path that torch opens itself, the OSError is lost
            torch.save(value, file)
    except RuntimeError as error:
        hidden = error.__context__
        if isinstance(hidden, OSError):
            raise OSError(hidden.errno, hidden.strerror) from error
        raise OSError(errno.EIO, str(error).splitlines()[0]) from error


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint of ours; nothing in it is executed.

    Raises:
        InputError: no such file, damaged, or not ours.
    """
    value = load_untrusted(path)
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise InputError(f"{path}: not a checkpoint of signshards; for one of the 2021 reference: checkpoint import")
    try:
        return _checkpoint(value, path)
    except (KeyError, TypeError, ValueError) as error:
        reason = escaped(str(error))
        raise InputError(f"{path}: a part is missing or wrong ({reason}); give another checkpoint") from error


def _checkpoint(value: dict[str, Any], path: Path) -> Checkpoint:
    """KeyError, TypeError, ValueError or InputError where a part is not what `Checkpoint.write` wrote."""
    model, training = value["model"], value.get("training", {})
    _require(isinstance(model, dict) and all(isinstance(weight, torch.Tensor) for weight in model.values()), "weights")
    _require(isinstance(training, dict), "what is for resuming")
    for name in ("model_settings", "recipe", "window", "image_size", "classes"):
        _require(is_plain(value[name]), name)
    try:
        settings = stream_of(value["model_settings"]["name"]).settings(**value["model_settings"])
    except InputError as error:
        raise InputError(f"{path}: {escaped(error.message)}; give another checkpoint") from error
    _require(isinstance(value["recipe"], dict), "recipe")
    recipe, window = recipe_from_json(value["recipe"], str(path)), Window(**value["window"])
    _require(window.length == settings.sequence_length and is_count(window.stride), f"window {value['window']}")
    _require({"length", "stride"} == value["window"].keys(), f"window {value['window']}")
    _require(is_count(value["image_size"]), f"image size {value['image_size']!r}")
    classes = value["classes"]
    named = isinstance(classes, list) and all(isinstance(name, str) for name in classes)
    _require(classes is None or (named and len(classes) == settings.num_classes), "names of classes")
    # Files of earlier versions have neither.
    estimator, clip_frames = value.get("estimator"), value.get("clip_frames")
    _require(estimator is None or isinstance(estimator, str), "estimator")
    _require(clip_frames is None or is_count(clip_frames), "frames of clips")
    return Checkpoint(model, settings, recipe, window, value["image_size"], classes, training, estimator, clip_frames)


def _require(right: bool, name: str) -> None:
    if not right:
        raise ValueError(f"not as it should be: {name}")


def is_count(value: object) -> bool:
    """Whether a value of a checkpoint can be a number of pixels or frames."""
    return type(value) is int and 1 <= value <= _LARGEST


def is_plain(value: object) -> bool:
    """Whether a value is made of numbers, text, lists and dictionaries alone: tensors compare in ways of their own."""
    if isinstance(value, dict):
        return all(is_plain(part) for pair in value.items() for part in pair)
    if isinstance(value, list | tuple):
        return all(map(is_plain, value))
    return value is None or isinstance(value, str | int | float)
