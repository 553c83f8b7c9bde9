"""What a checkpoint keeps so that a run can go on exactly where it was."""

import hashlib
import sys
from dataclasses import asdict
from typing import Any

from shards.errors import InputError
from shards.format.shardset import ShardSet
from train.fit.checkpoint import Checkpoint
from train.fit.run_folder import LAST
from train.fit.settings import SessionSettings, differing
from train.fit.trainer import Progress, Trainer


def training_state(trainer: Trainer, settings: SessionSettings, shards: ShardSet) -> dict[str, Any]:
    """Everything that the next step depends on, besides the weights that the checkpoint has anyway.

    There is no state of random generators: order, augmentation and dropout are drawn from the seed and the progress.
    """
    average = trainer.average
    return {
        "progress": asdict(trainer.progress),
        "optimiser": trainer.optimiser.state_dict(),
        # With an averaged model, that one is the checkpoint's model.
        "weights": None if average is None else trainer.model.state_dict(),
        "averaged": None if average is None else int(average.n_averaged),
        "fixed": _fixed(settings, shards),
        "exact": _exact(settings),
    }


def restore(trainer: Trainer, checkpoint: Checkpoint, settings: SessionSettings, shards: ShardSet) -> None:
    """Go on where a checkpoint was written.

    Raises:
        InputError: it cannot be resumed with these settings and shards.
    """
    kept, path = checkpoint.training, settings.run_dir / LAST
    if not kept:
        raise InputError(f"{path}: is for prediction only (a best.pt?); give the last.pt of a run")
    if checkpoint.classes != shards.dataset.classes:
        raise InputError(f"{path}: {differing(checkpoint.classes or [], shards.dataset.classes, settings.shards)}")
    for name, now in _fixed(settings, shards).items():
        if (then := kept["fixed"].get(name)) != now:
            raise InputError(f"{path}: was trained with {name} {then}, now {now}; resume with the same options")
    for name, now in _exact(settings).items():
        if trainer.ranks.first and (then := kept["exact"].get(name, now)) != now:
            print(f"note: {name} is {now}, was {then}: not exactly the run that it would have been", file=sys.stderr)
    trainer.model.load_state_dict(kept["weights"] or checkpoint.model)
    if trainer.average is not None:
        trainer.average.module.load_state_dict(checkpoint.model)
        trainer.average.n_averaged.fill_(kept["averaged"])
    trainer.optimiser.load_state_dict(kept["optimiser"])
    for group in trainer.optimiser.param_groups:
        group["weight_decay"] = settings.optimiser.weight_decay  # the learning rate is set at every step
    trainer.progress = Progress(**kept["progress"])


def _fixed(settings: SessionSettings, shards: ShardSet) -> dict[str, Any]:
    """What a run cannot go on without."""
    return {
        **asdict(settings.model),
        "recipe": settings.loader.recipe.name,
        "temporal_stride": settings.loader.window.stride,
        "image_size": settings.step.image_size,
        "seed": settings.step.seed,
        "freeze_layers": settings.freeze_layers,
        "averaged model": bool(settings.optimiser.ema_decay),
        "samples": f"{len(shards)} ({hashlib.sha256(' '.join(shards.ids.to_pylist()).encode()).hexdigest()[:12]})",
    }


def _exact(settings: SessionSettings) -> dict[str, Any]:
    """What a run can go on with another value of; but it is not the same run then."""
    values = asdict(settings.step) | asdict(settings.optimiser)
    for name in ("image_size", "seed"):
        del values[name]
    if settings.optimiser.schedule != "cosine":
        del values["max_epochs"]  # more epochs change nothing of those before them
    return {**values, "processes": settings.loader.ranks, "batch_size": settings.loader.batch_size}
