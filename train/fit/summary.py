"""What is said before a training begins: what it trains on, what an epoch is, and what looks wrong."""

import math
from collections.abc import Iterator

import numpy as np
import pyarrow.compute as pc

from shards.format.shardset import ShardSet
from train.crops.imputation import GUESSES_UNKNOWN
from train.data.order import training_batches
from train.fit.settings import SessionSettings
from train.models.defaults import DEFAULTS
from train.ranks.distributed import Ranks

_NAMED = 5  # classes or signers in a line


def start_summary(settings: SessionSettings, train: ShardSet, val: ShardSet | None, ranks: Ranks) -> list[str]:
    """The lines, warnings last: samples, classes, signers, device, batches and steps of an epoch."""
    batch, group = settings.loader.batch_size, settings.step.accumulate_grad_batches
    batches = len(training_batches(len(train), batch, ranks.count))
    steps = math.ceil(batches / group)
    parts = [f"train {_described(train)}", *([f"validation {_described(val)}"] if val else [])]
    processes = f" × {ranks.count} processes" if ranks.count > 1 else ""
    epoch = f"{ranks.device.type}: an epoch is {batches} batches of {batch}{processes}, {steps} optimizer steps"
    return ["; ".join(parts), epoch, *(f"warning: {line}" for line in _warnings(settings, train, val, steps))]


def _described(shards: ShardSet) -> str:
    classes, signers = len(np.unique(shards.labels)), _signers(shards)
    known = f"{len(signers)} signers" if signers else "signers unknown"
    return f"{len(shards)} samples, {classes} of {len(shards.dataset.classes)} classes, {known}"


def _signers(shards: ShardSet) -> set[str]:
    return set(pc.unique(shards.signers).to_pylist()) - {""}


def _warnings(settings: SessionSettings, train: ShardSet, val: ShardSet | None, steps: int) -> Iterator[str]:
    if steps == 1:
        yield "an epoch is one optimizer step; give a smaller --batch-size or --accumulate-grad-batches"
    # Other models see the whole clip, however long it is.
    if "temporal_stride" in DEFAULTS[settings.model.name]:
        span, median = settings.loader.window.span, int(np.median(train.frames))
        if span > median:
            yield (
                f"the window spans {span} frames, and half of the clips have {median} or fewer; give a smaller "
                "--temporal-stride or --sequence-length"
            )
        if val and val.dataset.recipe.guessed_hands_shown and not train.dataset.recipe.guessed_hands_shown:
            yield f"{val.source}: {GUESSES_UNKNOWN}, unlike in training"
    if settings.freeze_layers and settings.cnn_weights == "none" and settings.init is None:
        yield "--freeze-layers keeps parts of the ResNet as they are, which is random: give --cnn-weights or --init"
    yield from _label_warnings(train, val)
    own, theirs = (shards.dataset.settings.get("estimator") if shards else None for shards in (train, val))
    if val and own and theirs and own != theirs:
        yield f"{val.source}: has keypoints of {theirs}, {train.source} of {own}: both place the points differently"
    if val and (both := sorted(_signers(train) & _signers(val))):
        yield (
            f"{len(both)} signers are in training and validation, such as {', '.join(both[:_NAMED])}: validation says "
            "nothing about people who were not seen"
        )


def _label_warnings(train: ShardSet, val: ShardSet | None) -> Iterator[str]:
    names, used = train.dataset.classes, set(train.labels.tolist())
    if empty := [number for number in range(len(names)) if number not in used]:
        shown = ", ".join(f"{number} ({names[number]})" for number in empty[:_NAMED])
        counted_from_1 = empty == [0] and len(names) > 2
        hint = ": do the labels count from 1?" if counted_from_1 else ""
        yield f"{len(empty)} of {len(names)} classes have no training sample, such as {shown}{hint}"
    if len(used) == 1:
        yield "all training samples have one class: there is nothing to tell apart"
    if val and (unseen := set(val.labels.tolist()) - used):
        yield f"{len(unseen)} classes are validated, but have no training sample, such as {min(unseen)}"
