"""What a training run is asked for, and whether the shards allow it."""

from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow.compute as pc

from shards.errors import InputError
from shards.format.shardset import ShardSet
from train.data.dataset import LoaderSettings
from train.fit.distributed import Ranks
from train.fit.optimizer import OptimiserSettings
from train.fit.trainer import StepSettings
from train.models.vtn import ModelSettings


@dataclass(frozen=True)
class SessionSettings:
    """What `train` was asked for; `config.json` keeps it."""

    shards: str
    val_shards: str | None
    run_dir: Path
    recipe: str | None  # that the shards must have; None: whichever they have
    model: ModelSettings  # num_classes is taken from the shards
    loader: LoaderSettings
    step: StepSettings
    optimiser: OptimiserSettings
    weights: str  # "imagenet", "none", or a file
    freeze_layers: int
    patience: int
    keep_every: int
    checkpoint_steps: int


def fitted(settings: SessionSettings, train: ShardSet, val: ShardSet | None, ranks: Ranks) -> SessionSettings:
    """The settings with what the shards say: classes and recipe.

    Raises:
        InputError: the shards are not of the recipe asked for, lack labels, do not fit each other, or share samples.
    """
    dataset = train.dataset
    if settings.recipe not in (None, dataset.recipe.name):
        raise InputError(
            f"{settings.shards}: made with the {dataset.recipe.name} recipe; leave --recipe {settings.recipe} out, or "
            f"make shards with `pipeline run --recipe {settings.recipe}`"
        )
    if val is not None and val.dataset.recipe != dataset.recipe:
        raise InputError(
            f"{settings.val_shards}: made with the {val.dataset.recipe.name} recipe, {settings.shards} with "
            f"{dataset.recipe.name}; validate on shards of the same recipe"
        )
    if val is not None and val.dataset.classes != dataset.classes:
        raise InputError(f"{settings.val_shards}: {differing(val.dataset.classes, dataset.classes, settings.shards)}")
    if val is not None:
        _check_apart(settings, train, val)
    for shards in filter(None, (train, val)):
        _check_labels(shards)
    return replace(
        settings,
        model=replace(settings.model, num_classes=len(dataset.classes)),
        loader=replace(
            settings.loader,
            recipe=dataset.recipe,
            with_depth=settings.model.with_depth,
            rank=ranks.rank,
            ranks=ranks.count,
        ),
    )


def differing(classes: list[str], others: list[str], source: Path | str) -> str:
    """How a list of classes differs from that of `source`, for an error."""
    if len(classes) != len(others):
        return f"its {len(classes)} classes are not the {len(others)} of {source}; give what was made with the same"
    place = next(number for number, pair in enumerate(zip(classes, others, strict=True)) if pair[0] != pair[1])
    return (
        f"its class {place} is {classes[place]!r}, that of {source} {others[place]!r}; give what was made with the same"
    )


def _check_apart(settings: SessionSettings, train: ShardSet, val: ShardSet) -> None:
    both = val.ids.filter(pc.is_in(val.ids, value_set=train.ids))
    if len(both):
        raise InputError(
            f"{settings.val_shards}: {len(both)} of its samples are in {settings.shards}, too, e.g. {both[0]}; "
            "give --shards the shards of the training split only"
        )


def _check_labels(shards: ShardSet) -> None:
    unlabelled = shards.labels < 0
    if unlabelled.any():
        lacking = shards.ids[int(unlabelled.argmax())]
        raise InputError(f"{shards.source}: sample {lacking} has no label; run the pipeline with --labels")
