"""`train --check`: minutes instead of days to find wrong labels or settings that learn nothing."""

import math
import sys
from collections.abc import Iterator
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from shards.errors import InputError
from shards.format.shardset import ShardSet
from train.data.batch import Batch
from train.data.feeding import batches_on
from train.data.loader import make_loader
from train.data.order import epoch_order
from train.fit.label_check import check_labels, check_names
from train.fit.settings import SessionSettings
from train.fit.trainer import Trainer
from train.models.streams import stream_of

BATCHES = 2
PASSES = 200  # over these batches, at most
FIRST_PASSES = 20  # in which the loss has to fall by 2 % at least
# Of the first loss, in units of chance's: beyond, inputs or weights are out of all range.
LARGEST_FIRST_LOSS = 5.0


def check_training(settings: SessionSettings, trainer: Trainer, train: ShardSet, val: ShardSet | None) -> str:
    """Look at labels, then overfit two batches, without augmentation; whatever can be trained learns them by heart.

    Prints how it goes; returns one line that says that all is well.

    Raises:
        InputError: one line that says what is wrong.
    """
    check_labels(train)
    for shards in filter(None, (train, val)):
        if warning := check_names(shards):
            print(f"warning: {warning}", file=sys.stderr)
    batches = _two_batches(settings, trainer, train)
    chance = math.log(len(train.dataset.classes))
    most = np.bincount(train.labels).max() / len(train)
    print(
        f"check: chance is a loss of {chance:.3f} and an accuracy of {1 / len(train.dataset.classes):.4f}; "
        f"who always names the most frequent class has {most:.4f}",
        file=sys.stderr,
    )
    losses: list[float] = []
    for number, (loss, accuracy) in enumerate(_passes(settings, trainer, batches), 1):
        losses.append(loss)
        if not math.isfinite(loss) or losses[0] > LARGEST_FIRST_LOSS * chance:
            raise InputError(
                f"--check: a loss of {loss:.4g} where chance has {chance:.3f}; are --init and the shards right?"
            )
        if number == 1 or number % 20 == 0:
            print(f"check: pass {number}  loss {loss:.4f}  accuracy {accuracy:.4f}", file=sys.stderr, flush=True)
        if accuracy == 1 and loss < chance / 2:
            return f"check: all right: {BATCHES} batches are learned by heart after {number} passes, loss {loss:.4f}"
        if number == FIRST_PASSES and loss > 0.98 * losses[0]:
            break
    raise InputError(
        f"--check: {BATCHES} batches are not learned in {len(losses)} passes: the loss falls too slowly, from "
        f"{losses[0]:.3f} to {losses[-1]:.3f}; look at --learning-rate and --freeze-layers, and with `shards inspect` "
        "at the samples"
    )


def _two_batches(settings: SessionSettings, trainer: Trainer, train: ShardSet) -> list[Batch]:
    """Samples of as many classes as there is room for, as they are without augmentation."""
    order = epoch_order(len(train), settings.loader.seed, 0)
    seen: dict[int, int] = {}
    turns = []  # how many samples of its class came before
    for label in train.labels[order].tolist():
        turns.append(seen.get(label, 0))
        seen[label] = turns[-1] + 1
    places = order[np.argsort(turns, kind="stable")][: BATCHES * settings.loader.batch_size]
    reader = stream_of(settings.model.name).reader
    loader = make_loader(train.take(places), settings.loader, reader, False)
    return list(islice(batches_on(loader, trainer.ranks.device), BATCHES))


def _passes(settings: SessionSettings, trainer: Trainer, batches: list[Batch]) -> Iterator[tuple[float, float]]:
    """Mean loss and accuracy of each pass, as they were before each step; the learning rate is that of the settings."""
    model, optimizer, step = trainer.model, trainer.optimizer, settings.step
    inputs = [batch.inputs(step.image_size, training=False) for batch in batches]
    count = sum(len(batch.ids) for batch in batches)
    torch.manual_seed(step.seed)
    model.train()
    for _ in range(PASSES):
        loss_sum = hits = 0.0
        for batch, tensors in zip(batches, inputs, strict=True):
            with trainer.autocast():
                logits = model(*tensors)
            loss = F.cross_entropy(logits, batch.labels)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), step.gradient_clip_val or float("inf"))
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            loss_sum += float(loss.detach()) * len(batch.ids)
            hits += float((logits.argmax(1) == batch.labels).sum())
        yield loss_sum / count, hits / count
