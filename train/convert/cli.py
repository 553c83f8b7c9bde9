"""The `checkpoint` command. torch is imported when it runs, not for `--help`."""

from pathlib import Path

import click

from shards.command_line import Commands, version_option
from train.ranks.threads import wait_passively

_FILE = click.Path(path_type=Path)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@version_option
def main() -> None:
    """Checkpoints of others for `predict` and `train --init`, and ours for other programs.

    Exit status: 0 done; 2 the command line or an input file is wrong; 1 anything else.
    """


@main.command("import")
@click.argument("reference", type=_FILE)
@click.option("--out", type=_FILE, required=True, help="Checkpoint to write.")
@click.option("--temporal-stride", type=click.IntRange(min=1), help="Stride of the window, where REFERENCE has none.")
def import_command(reference: Path, out: Path, temporal_stride: int | None) -> None:
    """Make a checkpoint of ours from REFERENCE, a Lightning checkpoint of the 2021 reference.

    Its model goes with shards that were made with `pipeline run --recipe reference`. Nothing in the file is executed.
    """
    wait_passively()
    from train.convert.import_reference import import_reference

    import_reference(reference, out, temporal_stride)


@main.command("export")
@click.argument("checkpoint", type=_FILE)
@click.option("--onnx", type=_FILE, help="ONNX file to write.")
@click.option("--torch-export", type=_FILE, help="torch.export file (.pt2) to write.")
def export_command(checkpoint: Path, onnx: Path | None, torch_export: Path | None) -> None:
    """Write the model of CHECKPOINT as a graph that needs none of this project's code, and check it against the model.

    The batch size is free. The inputs are those of the model, for POSE the keypoints of whole clips, of any number of
    frames (see the file's metadata and docs/export.md).
    """
    wait_passively()
    from train.convert.export_model import export_checkpoint

    export_checkpoint(checkpoint, onnx, torch_export)


if __name__ == "__main__":
    main()
