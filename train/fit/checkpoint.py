"""Checkpoints: a model with everything needed to use it, and, for resuming, everything needed to go on."""

import errno
import zipfile
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from shards.errors import InputError
from shards.files import check_output, whole_file
from shards.format.recipe import Recipe, recipe_from_json
from train.data.window import Window
from train.models.vtn import VTN, ModelSettings
from train.models.weights import load_state, load_untrusted

FORMAT = "signshards-checkpoint-1"
# What a damaged directory makes of zipfile; ValueError of names, RuntimeError of the flag for encryption.
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError)


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds."""

    model: dict[str, torch.Tensor]  # state dict
    model_settings: ModelSettings
    recipe: Recipe
    window: Window
    image_size: int
    classes: list[str] | None  # names; None where an imported checkpoint has none
    training: dict[str, Any] = field(default_factory=dict)  # for --resume; empty in a file that is only for prediction

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
        }
        if self.training:
            value["training"] = self.training
        check_output(path)
        with whole_file(path) as temporary:
            try:
                torch.save(value, temporary)
            except RuntimeError as error:
                # torch's zip writer turns a full disk into a RuntimeError of many lines.
                raise OSError(errno.EIO, str(error).splitlines()[0]) from error

    def build(self, source: Path | str = "checkpoint") -> VTN:
        """The model with its weights, on the CPU, in evaluation mode; `source` is named in errors.

        Raises:
            InputError: the weights do not fit the settings.
        """
        model = VTN(self.model_settings, self.recipe)
        load_state(model, self.model, source)
        return model.eval()


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint of ours; nothing in it is executed.

    Raises:
        InputError: no such file, damaged, or not ours.
    """
    _check_sums(path)
    value = load_untrusted(path)
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise InputError(
            f"{path}: not a checkpoint of signshards; for one of the 2021 reference: python -m tools.import_checkpoint"
        )
    try:
        return Checkpoint(
            value["model"],
            _model_settings(value["model_settings"], path),
            recipe_from_json(value["recipe"], str(path)),
            Window(**value["window"]),
            value["image_size"],
            value["classes"],
            value.get("training", {}),
        )
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: a part is missing or wrong ({error}); give another checkpoint") from error


def _model_settings(values: dict[str, Any], path: Path) -> ModelSettings:
    try:
        return ModelSettings(**values)
    except InputError as error:
        raise InputError(f"{path}: {error.message}") from error


def _check_sums(path: Path) -> None:
    """InputError where a part of a zip does not match its CRC-32: torch writes them, but does not look at them."""
    try:
        if not zipfile.is_zipfile(path):
            return  # `load_untrusted` says what is wrong
        with zipfile.ZipFile(path) as archive:
            wrong = archive.testzip()
    except _DAMAGE as error:
        raise InputError(f"{path}: damaged ({error}); give another checkpoint") from error
    if wrong:
        raise InputError(f"{path}: damaged (the checksum of {wrong} is wrong); give another checkpoint")
