"""What a checkpoint keeps so that a run can go on exactly where it was."""

import hashlib
import sys
from dataclasses import asdict
from typing import Any

import torch

from shards.errors import InputError, escaped
from shards.format.shardset import ShardSet
from train.fit.checkpoint import Checkpoint, is_plain
from train.fit.run_folder import LAST
from train.fit.settings import SessionSettings, differing, in_files
from train.fit.trainer import Progress, Trainer
from train.models.weights import load_state


def training_state(
    trainer: Trainer, settings: SessionSettings, shards: ShardSet, val: ShardSet | None
) -> dict[str, Any]:
    """Everything that the next step depends on, besides the weights that the checkpoint has anyway.

    There is no state of random generators: order, augmentation and dropout are drawn from the seed and the progress.
    """
    average = trainer.average
    return {
        "progress": asdict(trainer.progress),
        "optimiser": trainer.optimizer.state_dict(),
        # With an averaged model, that one is the checkpoint's model.
        "weights": None if average is None else trainer.model.state_dict(),
        "averaged": None if average is None else int(average.n_averaged),
        "fixed": _fixed(settings, shards),
        "exact": _exact(settings, shards, val),
    }


def restore(
    trainer: Trainer, checkpoint: Checkpoint, settings: SessionSettings, shards: ShardSet, val: ShardSet | None
) -> None:
    """Go on where a checkpoint was written.

    Raises:
        InputError: it cannot be resumed with these settings and shards, or a part of it is damaged.
    """
    path = settings.run_dir / LAST
    if not checkpoint.training:
        raise InputError(f"{path}: is for prediction only (a best.pt?); give the last.pt of a run")
    if checkpoint.classes != shards.dataset.classes:
        raise InputError(f"{path}: {differing(checkpoint.classes or [], shards.dataset.classes, shards.source)}")
    try:
        _compare(checkpoint.training, settings, _fixed(settings, shards))
        if trainer.ranks.first:
            _note_changes(checkpoint.training["exact"], _exact(settings, shards, val))
        _restore(trainer, checkpoint, settings)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = escaped(str(error))
        raise InputError(f"{path}: what is for resuming is damaged ({reason}); give another checkpoint") from error


def _compare(kept: dict[str, Any], settings: SessionSettings, fixed: dict[str, Any]) -> None:
    """InputError where a run cannot go on with what is `fixed` now."""
    for name in ("progress", "fixed", "exact", "averaged"):
        if not is_plain(kept[name]):
            raise TypeError(name)
    for name, now in fixed.items():
        if (then := kept["fixed"].get(name)) != now:
            path = settings.run_dir / LAST
            raise InputError(f"{path}: was trained with {name} {then}, now {now}; resume with the same options")


def _note_changes(kept: dict[str, Any], exact: dict[str, Any]) -> None:
    """Say where a run goes on as another one."""
    for name, now in exact.items():
        if (then := kept.get(name, now)) != now:
            print(f"note: {name} is {now}, was {then}: not exactly the run that it would have been", file=sys.stderr)


def _restore(trainer: Trainer, checkpoint: Checkpoint, settings: SessionSettings) -> None:
    kept, path, average = checkpoint.training, settings.run_dir / LAST, trainer.average
    trainer.progress = _progress(kept["progress"])
    load_state(trainer.model, checkpoint.model if average is None else kept["weights"], path)
    if average is not None:
        load_state(average.module, checkpoint.model, path)
        average.n_averaged.fill_(int(kept["averaged"]))
    _restore_optimizer(trainer.optimizer, kept["optimiser"])


def _progress(values: dict[str, Any]) -> Progress:
    progress = Progress(**values)
    for name, usual in vars(Progress()).items():
        if type(values[name]) is not type(usual):
            raise TypeError(f"{name} is {values[name]!r}")
    if min(progress.epoch, progress.position, progress.step) < 0 or list(map(type, progress.sums)) != [float] * 3:
        raise ValueError(f"progress {values}")
    return progress


def _restore_optimizer(optimizer: torch.optim.Optimizer, kept: dict[str, Any]) -> None:
    decays = [group["weight_decay"] for group in optimizer.param_groups]
    for group, usual in zip(kept["param_groups"], optimizer.param_groups, strict=True):
        if wrong := [name for name in group.keys() & usual.keys() if type(group[name]) is not type(usual[name])]:
            raise TypeError(f"{wrong[0]} of the optimizer")
    optimizer.load_state_dict(kept)
    # As the options have it now; the learning rate is set at every step.
    for group, decay in zip(optimizer.param_groups, decays, strict=True):
        group["weight_decay"] = decay
    for parameter, state in optimizer.state.items():
        # Of another shape, they would be broadcast.
        if any(state[name].shape != parameter.shape for name in ("exp_avg", "exp_avg_sq")) or state["step"].ndim:
            raise ValueError("averages of the optimizer")


def _fixed(settings: SessionSettings, shards: ShardSet) -> dict[str, Any]:
    """What a run cannot go on without."""
    return {
        **asdict(settings.model),
        "recipe": settings.loader.recipe.name,
        "temporal_stride": settings.loader.window.stride,
        "image_size": settings.step.image_size,
        "seed": settings.step.seed,
        "freeze_layers": settings.freeze_layers,
        "averaged model": bool(settings.optimizer.ema_decay),
        "samples": f"{len(shards)} ({_digest(_ids(shards))})",
    }


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]


def _ids(shards: ShardSet) -> bytes:
    return " ".join(shards.ids.to_pylist()).encode()


def _exact(settings: SessionSettings, shards: ShardSet, val: ShardSet | None) -> dict[str, Any]:
    """What a run can go on with another value of; but it is not the same run then."""
    values = in_files(settings.step) | in_files(settings.optimizer)
    for name in ("image_size", "seed"):
        del values[name]
    if settings.optimizer.schedule != "cosine":
        del values["max_epochs"]  # more epochs change nothing of those before them
    return values | {
        "processes": settings.loader.ranks,
        "batch_size": settings.loader.batch_size,
        "estimator": shards.dataset.settings.get("estimator"),
        "digest of the labels": _digest(shards.labels.tobytes()),
        # What best.pt and early stopping are measured on.
        "digest of the validation samples": None if val is None else _digest(_ids(val) + val.labels.tobytes()),
    }
