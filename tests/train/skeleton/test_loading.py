"""Skeletons through the loader: the same order, the same resuming, the same shared buffers as crops."""

from dataclasses import replace

import pytest
import torch

from shards.errors import InputError
from shards.format.recipe import DEFAULT
from shards.format.shardset import open_shards
from train.crops.crop_batch import CropReader
from train.data.loader import make_loader
from train.data.shard_dataset import LoaderSettings
from train.data.views import View
from train.data.window import Window
from train.skeleton.pose_batch import SkeletonBatch, SkeletonReader

SETTINGS = LoaderSettings(Window(16, 1), DEFAULT, batch_size=4, num_workers=0, seed=5)


@pytest.fixture(scope="module")
def shards(made):
    """Every third sample is without video."""
    return open_shards(f"{made(splits={'train': 13, 'val': 5}, keypoints_only=3)}/train-*.tar")


def epoch_of(shards, training=True, epoch=3, position=0, views=None, **changes) -> list[SkeletonBatch]:
    loader = make_loader(shards, replace(SETTINGS, **changes), SkeletonReader, training)
    loader.dataset.epoch, loader.dataset.position, loader.dataset.views = epoch, position, views
    return list(loader)


def assert_same(one: list[SkeletonBatch], other: list[SkeletonBatch]) -> None:
    assert [(batch.ids, batch.total) for batch in one] == [(batch.ids, batch.total) for batch in other]
    for a, b in zip(one, other, strict=True):
        assert len(a.tensors()) == len(b.tensors())
        assert all(torch.equal(x, y) for x, y in zip(a.tensors(), b.tensors(), strict=True))


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("workers", [1, 3])
def test_workers_change_nothing(shards, training, workers):
    alone = epoch_of(shards, training)
    assert sum(len(batch.ids) for batch in alone) == 13
    assert alone[0].skeletons.any()
    assert_same(alone, epoch_of(shards, training, num_workers=workers))


def test_the_order_is_that_of_the_crops(made):
    shards = open_shards(str(made(splits={"train": 13, "val": 5})))
    crops = list(make_loader(shards, SETTINGS, CropReader, True))
    assert [batch.ids for batch in epoch_of(shards, epoch=0)] == [batch.ids for batch in crops]


def test_an_epoch_goes_on_where_it_was(shards):
    assert_same(epoch_of(shards)[2:], epoch_of(shards, position=8))


def test_ranks_share_a_global_batch(shards):
    whole, *_ = epoch_of(shards)
    parts = [epoch_of(shards, batch_size=2, rank=rank, ranks=2)[0] for rank in (0, 1)]
    assert [sample_id for part in parts for sample_id in part.ids] == whole.ids
    assert torch.equal(torch.cat([part.inputs(0, True)[0] for part in parts]), whole.inputs(0, True)[0])


def test_views_reach_the_samples(shards):
    views = [View(part=(0.2, 0.8), mirrored=number % 2 == 1) for number in range(len(shards))]
    plain, seen = epoch_of(shards, False), epoch_of(shards, False, views=views, num_workers=1)
    assert torch.cat([batch.mirrored for batch in seen]).tolist() == [view.mirrored for view in views]
    assert not torch.equal(plain[0].skeletons, seen[0].skeletons)


def test_all_of_a_sample_finds_room_in_the_shared_buffer(shards):
    batch = epoch_of(shards)[0]
    assert len(batch.tensors()) == 6
    needed = sum(tensor.numel() * tensor.element_size() for tensor in batch.tensors())
    assert needed + 6 * 64 <= len(batch.ids) * SkeletonReader.sample_bytes(SETTINGS) + 6 * 64
    assert needed > 0.9 * len(batch.ids) * SkeletonReader.sample_bytes(SETTINGS)


def test_crops_are_refused_where_a_sample_has_no_video(shards):
    with pytest.raises(InputError, match=r"5 samples are without video, e\.g\. train_sample") as error:
        make_loader(shards, SETTINGS, CropReader, True)
    assert "\n" not in error.value.message
