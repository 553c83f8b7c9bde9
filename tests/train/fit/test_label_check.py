"""Labels that contradict the names in ids, as `train --check` sees them."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from shards.errors import InputError
from shards.format.shardset import ShardSet, open_shards
from train.fit.label_check import check_names, named_classes

NAMES = ["hello", "thank you", "thanks", "no"]


def labeled(shards: ShardSet, ids: list[str], labels: list[int]) -> ShardSet:
    """A shard set whose samples have other ids and labels."""
    taken = shards.take(np.zeros(len(ids), int))
    dataset = replace(taken.dataset, classes=NAMES)
    return replace(taken, dataset=dataset, ids=pa.array(ids), labels=np.array(labels, np.int32))


def test_names_stand_in_ids_as_whole_words() -> None:
    ids = ["train_hello_3", "Thank_You_s2", "thanks-1", "othello_1", "hello_thanks_1", "no_7"]
    assert named_classes(ids, NAMES) == [0, 1, 2, None, None, None]
    assert named_classes(["good_morning_1", "morning_2"], ["morning", "good morning"]) == [1, 0]


def test_labels_that_agree_with_ids_or_have_no_names_in_them_pass(small) -> None:
    shards = open_shards(str(small))
    assert check_names(labeled(shards, ["hello_1", "thank_you_1", "thanks_1"], [0, 1, 2])) is None
    assert check_names(labeled(shards, ["clip_1", "clip_2", "clip_3"], [0, 1, 2])) is None
    # A class that is named as something in every id.
    assert check_names(labeled(shards, ["hello_a", "hello_b", "hello_c", "hello_d"], [0, 1, 2, 3])) is None


def test_shifted_labels_are_refused_and_a_few_wrong_ones_are_a_warning(small) -> None:
    shards = open_shards(str(small))
    ids = ["hello_1", "thank_you_1", "thanks_1"]
    with pytest.raises(InputError, match=r"3 of 3 ids .* hello_1 has class 1 \(thank you\)"):
        check_names(labeled(shards, ids, [1, 2, 3]))
    assert "1 of 3 ids" in (check_names(labeled(shards, ids, [0, 1, 0])) or "")
