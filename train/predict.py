"""Predictions: from a checkpoint and shards to logits, `id,class` files and `.npz` files."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shards.errors import InputError
from shards.files import whole_file
from shards.shardset import open_shards
from train import distributed
from train.checkpoint import read_checkpoint
from train.labels import read_ids
from train.loader import LoaderSettings, make_loader
from train.loop import predict_batches


@dataclass(frozen=True)
class Prediction:
    """Logits of some samples."""

    ids: list[str]
    logits: np.ndarray  # float32 (N, C)
    classes: list[str]  # C names


def predict_shards(
    checkpoint: Path, pattern: str, batch_size: int, workers: int, device: str | None = None
) -> Prediction:
    """Logits of every sample of the shards that `pattern` names, once each, with the checkpoint's window and recipe.

    Raises:
        InputError: checkpoint or shards are unreadable, or do not go together.
    """
    kept, shards = read_checkpoint(checkpoint), open_shards(pattern)
    if kept.recipe != shards.dataset.recipe:
        raise InputError(
            f"{pattern}: made with the {shards.dataset.recipe.name} recipe, but {checkpoint} was trained with "
            f"{kept.recipe.name}; make shards with `pipeline run --recipe {kept.recipe.name}`"
        )
    names, count = shards.dataset.classes, kept.model_settings.num_classes
    if kept.classes is not None and kept.classes != names:
        raise InputError(f"{checkpoint}: its {count} classes are not the {len(names)} classes of {pattern}")
    place = distributed.start(device).device
    settings = LoaderSettings(kept.window, kept.recipe, kept.model_settings.with_depth, batch_size, workers)
    loader = make_loader(shards, settings, training=False, pin=place.type == "cuda")
    ids: list[str] = []
    parts = []
    for batch_ids, logits, _ in predict_batches(kept.build().to(place), loader, place, kept.image_size):
        ids += batch_ids
        parts.append(logits)
    fallback = names if len(names) == count else [str(number) for number in range(count)]
    return Prediction(ids, np.concatenate(parts), kept.classes or fallback)


def write_predictions(path: Path, prediction: Prediction, template: Path | None) -> None:
    """Write `id,class` for the ids of a template, in its order; without one, for all, by id.

    Raises:
        InputError: the template names a sample that was not predicted.
    """
    best = dict(zip(prediction.ids, prediction.logits.argmax(axis=1).tolist(), strict=True))
    ids = read_ids(template) if template else sorted(best)
    absent = [sample_id for sample_id in ids if sample_id not in best]
    if absent:
        raise InputError(f"{template}: {len(absent)} of its ids are not in the shards, e.g. {absent[0]}")
    with whole_file(path) as temporary, temporary.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows((sample_id, best[sample_id]) for sample_id in ids)


def write_logits(path: Path, prediction: Prediction) -> None:
    """Write `ids`, `logits` (N, C) and `classes` as a `.npz` file that loads without unpickling."""
    with whole_file(path) as temporary, temporary.open("wb") as file:
        np.savez(file, ids=np.array(prediction.ids), logits=prediction.logits, classes=np.array(prediction.classes))
