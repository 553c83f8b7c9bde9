"""From the options of `train` to a run."""

import sys
from typing import Any

import torch

from shards.errors import InputError
from shards.recipe import DEFAULT
from train import distributed
from train.loader import LoaderSettings
from train.optimisation import OptimiserSettings
from train.session import SessionSettings, run_session
from train.vtn import ModelSettings
from train.window import Window


def session_settings(options: dict[str, Any], device: torch.device) -> SessionSettings:
    """The settings that the options say; what the shards say (classes, recipe) is filled in later."""
    return SessionSettings(
        shards=options["shards"],
        val_shards=options["val_shards"],
        run_dir=options["run_dir"],
        model=ModelSettings(
            name=options["model"].replace("-", "_"),
            num_classes=1,
            cnn=options["cnn"],
            sequence_length=options["sequence_length"],
            num_layers=options["num_layers"],
            num_heads=options["num_heads"],
            embed_size=options["embed_size"],
            dropout=options["dropout"],
        ),
        loader=LoaderSettings(
            Window(options["sequence_length"], options["temporal_stride"]),
            DEFAULT,
            batch_size=options["batch_size"],
            workers=options["num_workers"],
            seed=options["seed"],
        ),
        optimiser=OptimiserSettings(
            learning_rate=options["learning_rate"],
            weight_decay=options["weight_decay"],
            schedule=options["schedule"],
            step_size=options["lr_step_size"],
            warmup_epochs=options["warmup_epochs"],
            max_epochs=options["max_epochs"],
            accumulate=options["accumulate_grad_batches"],
            clip_norm=options["gradient_clip_val"],
            label_smoothing=options["label_smoothing"],
            ema_decay=options["ema_decay"],
        ),
        image_size=options["image_size"],
        weights=options["weights"],
        freeze_layers=options["freeze_layers"],
        patience=options["patience"],
        precision=options["precision"] or ("bf16" if device.type == "cuda" else "fp32"),
        compiled=options["compiled"],
        keep_every=options["keep_every"],
        checkpoint_steps=options["checkpoint_steps"],
    )


def train_command(options: dict[str, Any]) -> int:
    """Run what `train` was asked for; returns the exit status.

    Raises:
        InputError: an option or an input file is wrong, or the GPU's memory is too small.
    """
    ranks = distributed.start(options["device"])
    try:
        finished = run_session(session_settings(options, ranks.device), ranks, options["resume"])
    except torch.cuda.OutOfMemoryError as error:
        batch, group = options["batch_size"], options["accumulate_grad_batches"]
        raise InputError(
            f"the GPU's memory is too small for --batch-size {batch}: halve it and double --accumulate-grad-batches "
            f"(now {group}), which trains the same ({str(error).splitlines()[0]})"
        ) from error
    finally:
        distributed.stop()
    if not finished and ranks.first:
        print(f"stopped; `train … --run-dir {options['run_dir']} --resume` goes on from here", file=sys.stderr)
    return 0
