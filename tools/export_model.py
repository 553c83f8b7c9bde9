"""Write a checkpoint's model as ONNX and as a torch.export program: `python -m tools.export_model`."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from shards.command_line import Command
from shards.errors import InputError
from shards.files import check_output, whole_file
from train.data.pixels import IMAGENET_MEAN, IMAGENET_STD
from train.fit.checkpoint import Checkpoint, read_checkpoint
from train.models.vtn import POSE_FEATURES

METADATA = "signshards.json"  # in the .pt2; in the ONNX file the key is `signshards`
# Largest difference of a logit, as a share of the largest logit; 1e-6 is usual, 1e-3 would be a wrong graph.
TOLERANCE = 1e-4
CHECKED_BATCHES = (1, 3)


def example_inputs(checkpoint: Checkpoint, batch: int, seed: int = 0) -> dict[str, Tensor]:
    """Random inputs by name, of the shapes that the model takes."""
    settings, size = checkpoint.model_settings, checkpoint.image_size
    random = torch.Generator().manual_seed(seed)
    images, length = (batch, settings.sequence_length, 2, 3, size, size), settings.sequence_length
    inputs = {
        "crops": torch.randn(images, generator=random),
        "pose": torch.randn(batch, length, POSE_FEATURES, generator=random),
    }
    return inputs | {"depth": torch.randn(images, generator=random)} if settings.with_depth else inputs


def metadata(checkpoint: Checkpoint) -> dict[str, Any]:
    """What the exported file says of its inputs and its output, besides their shapes."""
    inputs = {
        "crops": "float32 (batch, frames, 2 hands: left first, 3 RGB, side, side): (pixel / 255 - mean) / std",
        "pose": "float32 (batch, frames, 106): pose features, see train/data/pose_features.py",
    }
    if checkpoint.model_settings.with_depth:
        inputs["depth"] = "as crops; a gray image three times, then normalized"
    return {
        "model": asdict(checkpoint.model_settings),
        "recipe": checkpoint.recipe.name,
        "window": asdict(checkpoint.window),
        "image_size": checkpoint.image_size,
        "mean": IMAGENET_MEAN,
        "std": IMAGENET_STD,
        "inputs": inputs,
        "output": "logits float32 (batch, classes)",
        "classes": checkpoint.classes,
    }


def export_program(checkpoint: Checkpoint, source: Path) -> ExportedProgram:
    """The model as a graph, in evaluation mode, for batches of any size; `source` is named in errors."""
    inputs = example_inputs(checkpoint, batch=2)
    batch = Dim("batch", min=1)
    shapes = {name: {0: batch} for name in inputs}
    with torch.no_grad():
        return torch.export.export(checkpoint.build(source), tuple(inputs.values()), dynamic_shapes=shapes)


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
        InputError: the packages for it are not installed, or it does not agree.
    """
    try:
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(f"--onnx needs {error.name}: pip install 'signshards[export]'") from error
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
    """How far a logit of the exported graph, which `run` computes, is from the model's at most.

    Raises:
        InputError: it is beyond TOLERANCE.
    """
    model, largest = checkpoint.build(path), 0.0
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


@click.command(cls=Command, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--onnx", type=click.Path(path_type=Path), help="ONNX file to write.")
@click.option("--torch-export", type=click.Path(path_type=Path), help="torch.export file (.pt2) to write.")
def main(checkpoint: Path, onnx: Path | None, torch_export: Path | None) -> None:
    """Write the model of CHECKPOINT as a graph that needs none of this project's code, and check it against the model.

    The batch size is free; the inputs are those of the model (see the file's metadata and docs/export.md).
    """
    if not (onnx or torch_export):
        raise InputError("nothing to write: give --onnx FILE or --torch-export FILE")
    if onnx:
        check_output(onnx, checkpoint)
    if torch_export:
        check_output(torch_export, checkpoint, *filter(None, [onnx]))
    loaded = read_checkpoint(checkpoint)
    program = export_program(loaded, checkpoint)
    for path, write in ((torch_export, write_program), (onnx, write_onnx)):
        if path:
            difference = write(program, loaded, path)
            click.echo(f"{path}: logits differ from the model's by at most {difference:.1g}")


if __name__ == "__main__":
    main()
