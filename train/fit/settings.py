"""What a training run is asked for, and whether the shards allow it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from shards.command_line import settings_from
from shards.errors import InputError
from shards.format.recipe import DEFAULT
from shards.format.shardset import ShardSet
from shards.remote.cache import CacheSettings
from train.data.shard_dataset import LoaderSettings
from train.data.window import Window
from train.fit.optimizer import OptimizerSettings
from train.fit.trainer import StepSettings
from train.models.defaults import with_defaults
from train.models.streams import AnySettings, stream_of
from train.ranks.distributed import Ranks

# Settings that `config.json` and checkpoints have under other names than the flags'; old files, and new ones alike.
_NAMES_IN_FILES = {
    "optimizer": "optimiser",
    "num_workers": "workers",
    "accumulate_grad_batches": "accumulate",
    "gradient_clip_val": "clip_norm",
    "lr_step_size": "step_size",
    "cnn_weights": "weights",
    "fold_file": "folds",
}


@dataclass(frozen=True)
class SessionSettings:
    """What `train` was asked for; fields are named as the flags."""

    shards: tuple[str, ...]
    val_shards: tuple[str, ...]
    run_dir: Path
    recipe: str | None  # that the shards must have; None: whichever they have
    model: AnySettings  # num_classes is taken from the shards
    loader: LoaderSettings
    step: StepSettings
    optimizer: OptimizerSettings
    patience: int
    keep_every: int
    checkpoint_steps: int
    cache: CacheSettings
    cnn_weights: str = "none"  # or "imagenet", or a file
    freeze_layers: int = 0
    init: Path | None = None  # a checkpoint to start from
    fold_file: Path | None = None  # CSV id,fold; then shards are divided by it
    test_fold: str | None = None
    val_fold: str | None = None


def session_settings(options: Mapping[str, Any], on_gpu: bool) -> SessionSettings:
    """The settings that the options of `train` say; what the shards say (classes, recipe) is filled in by `fitted`.

    Raises:
        InputError: options that do not go together.
    """
    if options["run_dir"] is None and not options["check"]:
        raise InputError("give --run-dir, a folder for checkpoints and logs")
    if options["check"] and options["resume"]:
        raise InputError(
            "--check tries out a training that is still to come, --resume goes on with one: give one of them"
        )
    # What --init lacks starts at random, unless --cnn-weights is given, too.
    begun = options["init"] is not None and options["cnn_weights"] is None
    options = with_defaults(options)
    if begun and "cnn_weights" in options:
        options["cnn_weights"] = "none"
    window = Window(options["sequence_length"], options.get("temporal_stride", 1))
    precision = options["precision"] or ("bf16" if on_gpu else "fp32")
    stream = stream_of(options["model"])
    return settings_from(
        options,
        SessionSettings,
        model=settings_from(options, stream.settings, name=options["model"], num_classes=1),
        loader=settings_from(options, LoaderSettings, window=window, recipe=DEFAULT),
        step=settings_from(options, StepSettings, precision=precision),
        optimizer=settings_from(options, OptimizerSettings, decay_matrices_only=stream.decay_matrices_only),
        cache=settings_from(options, CacheSettings),
    )


def fitted(settings: SessionSettings, train: ShardSet, val: ShardSet | None, ranks: Ranks) -> SessionSettings:
    """The settings with what the shards say: classes and recipe.

    Raises:
        InputError: the shards are not of the recipe asked for, lack labels, do not fit each other, or share samples.
    """
    dataset = train.dataset
    if settings.recipe not in (None, dataset.recipe.name):
        raise InputError(
            f"{train.source}: made with the {dataset.recipe.name} recipe; leave --recipe {settings.recipe} out, or "
            f"make shards with `pipeline run --recipe {settings.recipe}`"
        )
    if val is not None:
        _check_together(train, val)
    for shards in filter(None, (train, val)):
        unlabeled = shards.labels < 0
        if unlabeled.any():
            lacking = shards.ids[int(unlabeled.argmax())]
            raise InputError(f"{shards.source}: sample {lacking} has no label; run the pipeline with --labels")
    model = replace(settings.model, num_classes=len(dataset.classes))
    loader = replace(
        settings.loader, recipe=dataset.recipe, with_depth=model.with_depth, rank=ranks.rank, ranks=ranks.count
    )
    return replace(settings, model=model, loader=loader)


def _check_together(train: ShardSet, val: ShardSet) -> None:
    """InputError where these shards cannot be the validation of those."""
    if val.dataset.recipe.name != train.dataset.recipe.name:
        raise InputError(
            f"{val.source}: made with the {val.dataset.recipe.name} recipe, {train.source} with "
            f"{train.dataset.recipe.name}; validate on shards of the same recipe"
        )
    if val.dataset.classes != train.dataset.classes:
        difference = differing(val.dataset.classes, train.dataset.classes, train.source)
        raise InputError(f"{val.source}: {difference}")
    both = val.ids.filter(pc.is_in(val.ids, value_set=train.ids))
    if len(both):
        raise InputError(
            f"{val.source}: {len(both)} of its samples are in {train.source}, too, e.g. {both[0]}; "
            "give --shards the shards of the training split only"
        )


def differing(classes: list[str], others: list[str], source: Path | str) -> str:
    """How a list of classes differs from that of `source`, for an error."""
    if len(classes) != len(others):
        return f"its {len(classes)} classes are not the {len(others)} of {source}; give what was made with the same"
    place = next(number for number, pair in enumerate(zip(classes, others, strict=True)) if pair[0] != pair[1])
    return (
        f"its class {place} is {classes[place]!r}, that of {source} {others[place]!r}; give what was made with the same"
    )


def flag_name(name: str) -> str:
    """The flag's name of a setting that `in_files` named."""
    return next((flag for flag, in_file in _NAMES_IN_FILES.items() if in_file == name), name)


def in_files(settings: Any) -> dict[str, Any]:
    """A dataclass of settings as `config.json` and checkpoints keep it."""

    def named(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return {_NAMES_IN_FILES.get(name, name): value for name, value in pairs}

    return asdict(settings, dict_factory=named)
