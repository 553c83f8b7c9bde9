"""What samples really are: labels from a file, or from shards."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shards.errors import InputError
from shards.format.shardset import ShardSet
from shards.labels import label_names, read_labels


@dataclass(frozen=True)
class Truth:
    """The class of every labeled sample, by id."""

    source: str  # where it comes from, for errors and the report
    labels: dict[str, int]
    names: Sequence[str] | None  # of the classes, in their order; None where labels are numbers without names

    def of(self, ids: Sequence[str], predictions: str) -> np.ndarray:
        """int (N,): the classes of the samples that `predictions` is about.

        Raises:
            InputError: one has no label.
        """
        unknown = [sample_id for sample_id in ids if sample_id not in self.labels]
        if unknown:
            raise InputError(
                f"{self.source}: no label for {len(unknown)} predictions of {predictions}, e.g. {unknown[0]}"
            )
        return np.array([self.labels[sample_id] for sample_id in ids])


def truth_of_file(path: Path, names: Sequence[str] | None = None) -> Truth:
    """The labels of a CSV `id,class[,split]` or of a clip list; `names`: of the classes, where labels are names.

    Raises:
        InputError: see `shards.labels.read_labels`.
    """
    labels = {sample_id: label for sample_id, (label, _) in read_labels(path, names).items()}
    return Truth(str(path), labels, label_names(path) if names is None else names)


def truth_of_shards(shards: ShardSet, names: Sequence[str] | None = None) -> Truth:
    """The labels of the samples of shards that have one; `names`: the classes that the predictions are of.

    Raises:
        InputError: there are none, or the shards have other classes.
    """
    if names is not None and list(names) != shards.dataset.classes:
        raise InputError(
            f"{shards.source}: its classes are not those of the predictions; give --labels, or other shards"
        )
    labels = {
        key: label for key, label in zip(shards.ids.to_pylist(), shards.labels.tolist(), strict=True) if label >= 0
    }
    if not labels:
        raise InputError(f"{shards.source}: no sample has a label; give --labels")
    return Truth(shards.source, labels, shards.dataset.classes)
