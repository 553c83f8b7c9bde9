"""From the options of `train` to a run."""

import sys
from typing import Any

import torch

from shards.format.recipe import DEFAULT
from train.data.dataset import LoaderSettings
from train.data.window import Window
from train.fit import distributed
from train.fit.memory import enough_memory, smaller_batches
from train.fit.optimizer import OptimiserSettings
from train.fit.run_folder import LAST
from train.fit.session import run_session
from train.fit.settings import SessionSettings
from train.fit.trainer import StepSettings
from train.models.vtn import ModelSettings


def session_settings(options: dict[str, Any], device: torch.device) -> SessionSettings:
    """The settings that the options say; what the shards say (classes, recipe) is filled in later."""
    return SessionSettings(
        shards=options["shards"],
        val_shards=options["val_shards"],
        run_dir=options["run_dir"],
        recipe=options["recipe"],
        model=ModelSettings(
            name=options["model"],
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
            ema_decay=options["ema_decay"],
        ),
        step=StepSettings(
            image_size=options["image_size"],
            accumulate=options["accumulate_grad_batches"],
            clip_norm=options["gradient_clip_val"],
            label_smoothing=options["label_smoothing"],
            precision=options["precision"] or ("bf16" if device.type == "cuda" else "fp32"),
            compiled=options["compiled"],
            seed=options["seed"],
        ),
        weights=options["weights"],
        freeze_layers=options["freeze_layers"],
        patience=options["patience"],
        keep_every=options["keep_every"],
        checkpoint_steps=options["checkpoint_steps"],
    )


def train_command(options: dict[str, Any]) -> int:
    """Run what `train` was asked for; returns the exit status.

    Raises:
        InputError: an option or an input file is wrong, or memory is too small.
    """
    ranks = distributed.start(options["device"])
    try:
        with enough_memory(smaller_batches(options["batch_size"], options["accumulate_grad_batches"])):
            finished = run_session(session_settings(options, ranks.device), ranks, options["resume"])
    finally:
        distributed.stop()
    if not finished and ranks.first:
        last = options["run_dir"] / LAST
        print(f"stopped; {last} is written, and the same command with --resume goes on from here", file=sys.stderr)
    return 0
