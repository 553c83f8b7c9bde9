"""`checkpoint export`: a checkpoint's model as ONNX and as a torch.export program."""

import json
from collections.abc import Callable
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from shards.body135 import POINTS
from shards.command_line import print_line
from shards.errors import InputError
from shards.files import check_output, whole_file
from train.crops.pixels import IMAGENET_MEAN, IMAGENET_STD
from train.fit.checkpoint import Checkpoint, read_checkpoint
from train.models.vtn import POSE_FEATURES
from train.skeleton.model import PoseSettings
from train.skeleton.pixel_input import PixelInput

METADATA = "signshards.json"  # in the .pt2; in the ONNX file the key is `signshards`
# Largest difference of a logit, as a share of the largest logit; 1e-6 is usual, 1e-3 would be a wrong graph.
TOLERANCE = 1e-4
CHECKED_BATCHES = (1, 3)


def example_inputs(checkpoint: Checkpoint, batch: int, seed: int = 0) -> dict[str, Tensor]:
    """Random inputs by name, of the shapes that the exported model takes."""
    random = torch.Generator().manual_seed(seed)
    settings, size = checkpoint.model_settings, checkpoint.image_size
    if isinstance(settings, PoseSettings):
        frames = 10 + 13 * seed  # another number in every check
        keypoints = torch.rand(batch, frames, POINTS, 3, generator=random) * torch.tensor([640.0, 480.0, 1.0])
        missing = torch.rand(batch, frames, POINTS, 1, generator=random) < 0.2
        return {"keypoints": keypoints.masked_fill(missing, 0)}
    images, length = (batch, settings.sequence_length, 2, 3, size, size), settings.sequence_length
    inputs = {
        "crops": torch.randn(images, generator=random),
        "pose": torch.randn(batch, length, POSE_FEATURES, generator=random),
    }
    return inputs | {"depth": torch.randn(images, generator=random)} if settings.with_depth else inputs


def metadata(checkpoint: Checkpoint) -> dict[str, Any]:
    """What a user of the exported file must know to feed it and to read its answer."""
    value = {
        "model": asdict(checkpoint.model_settings),
        "recipe": checkpoint.recipe.name,
        "estimator": checkpoint.estimator,
        "output": "logits float32 (batch, classes)",
        "classes": checkpoint.classes,
    }
    if isinstance(checkpoint.model_settings, PoseSettings):
        keypoints = "float32 (batch, frames, 135, 3) of whole clips: x, y in pixels, score; BODY_135; missing: score 0"
        return value | {"inputs": {"keypoints": keypoints}}
    inputs = {
        "crops": "float32 (batch, frames, 2 hands: left first, 3 RGB, side, side): (pixel / 255 - mean) / std",
        "pose": "float32 (batch, frames, 106): pose features, see train/crops/pose_features.py",
    }
    if checkpoint.model_settings.with_depth:
        inputs["depth"] = "as crops; a gray image three times, then normalized"
    return value | {
        "window": asdict(checkpoint.window),
        "image_size": checkpoint.image_size,
        "mean": IMAGENET_MEAN,
        "std": IMAGENET_STD,
        "inputs": inputs,
    }


def exported_model(checkpoint: Checkpoint, source: Path) -> nn.Module:
    """What is exported, in evaluation mode: the model, and for POSE what is made of keypoints before it."""
    model, settings = checkpoint.build(source), checkpoint.model_settings
    return PixelInput(model, settings.sequence_length).eval() if isinstance(settings, PoseSettings) else model


def export_program(checkpoint: Checkpoint, source: Path) -> ExportedProgram:
    """The model as a graph, for batches of any size, and for POSE of clips of any length; `source` is named in
    errors."""
    inputs = example_inputs(checkpoint, batch=2)
    free = {0: Dim("batch", min=1)}
    if isinstance(checkpoint.model_settings, PoseSettings):
        free[1] = Dim("frames", min=1)
    model = exported_model(checkpoint, source)
    with torch.no_grad():
        return torch.export.export(model, tuple(inputs.values()), dynamic_shapes=dict.fromkeys(inputs, free))


def write_program(program: ExportedProgram, checkpoint: Checkpoint, path: Path) -> float:
    """Write a `.pt2` for `torch.export.load` once it agrees with the model; returns the largest difference of logits.

    Raises:
        InputError: it does not agree.
    """
    with whole_file(path) as temporary:
        # torch.export.save writes to a name only if it ends in .pt2.
        with temporary.open("wb") as out:
            torch.export.save(program, out, extra_files={METADATA: json.dumps(metadata(checkpoint))})
        with temporary.open("rb") as file:
            written = torch.export.load(file).module()
        return _largest_difference(path, checkpoint, lambda inputs: written(*inputs.values()))


def write_onnx(program: ExportedProgram, checkpoint: Checkpoint, path: Path) -> float:
    """Write an `.onnx` file, weights inside, once ONNX Runtime agrees with the model; returns the largest difference.

    Raises:
        InputError: it does not agree.
    """
    import onnxruntime  # of the extra `export`

    names = list(example_inputs(checkpoint, 1))
    exported = torch.onnx.export(program, input_names=names, output_names=["logits"], dynamo=True, verbose=False)
    if exported is None:
        raise RuntimeError("torch.onnx.export gave no program")
    exported.model.metadata_props["signshards"] = json.dumps(metadata(checkpoint))
    with whole_file(path) as temporary:
        exported.save(temporary, external_data=False)
        session = onnxruntime.InferenceSession(temporary, providers=["CPUExecutionProvider"])

        def run(inputs: dict[str, Tensor]) -> Tensor:
            return torch.from_numpy(session.run(None, {name: value.numpy() for name, value in inputs.items()})[0])

        return _largest_difference(path, checkpoint, run)


def _largest_difference(path: Path, checkpoint: Checkpoint, run: Callable[[dict[str, Tensor]], Tensor]) -> float:
    """The largest difference of a logit between the model and `run`; InputError if it is beyond TOLERANCE."""
    model, largest = exported_model(checkpoint, path), 0.0
    for batch in CHECKED_BATCHES:
        inputs = example_inputs(checkpoint, batch, seed=batch)
        with torch.no_grad():
            expected, found = model(*inputs.values()), run(inputs)
        difference = float((found - expected).abs().max())
        # A NaN must not pass: hence "not …".
        if not difference <= TOLERANCE * float(expected.abs().max()):
            raise InputError(f"{path}: not written, as its logits differ from the model's by {difference:.2g}")
        largest = max(largest, difference)
    return largest


def export_checkpoint(checkpoint: Path, onnx: Path | None, torch_export: Path | None) -> None:
    """Write the model as the graphs that are asked for, each once it agrees with the model.

    Raises:
        InputError: nothing is asked for, no such checkpoint, a package that is not installed, or a graph that differs.
    """
    if not (onnx or torch_export):
        raise InputError("nothing to write: give --onnx FILE or --torch-export FILE")
    if onnx:
        check_output(onnx, checkpoint)
        if lacking := [package for package in ("onnx", "onnxruntime", "onnxscript") if find_spec(package) is None]:
            raise InputError(f"--onnx needs {lacking[0]}: pip install 'signshards[export]'")
    if torch_export:
        check_output(torch_export, checkpoint, *filter(None, [onnx]))
    loaded = read_checkpoint(checkpoint)
    print_line(f"{checkpoint}: making a graph of the model, which may take a while", err=True)
    program = export_program(loaded, checkpoint)
    for path, write in ((torch_export, write_program), (onnx, write_onnx)):
        if path:
            print_line(f"{path}: writing, and comparing with the model", err=True)
            difference = write(program, loaded, path)
            print_line(f"{path}: logits differ from the model's by at most {difference:.1g}")
