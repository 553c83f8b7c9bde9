import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.data.shard_making import Plan, make_shards
from helpers.data.skeleton_making import OTHER_SIDE, skeleton_of

from shards.errors import InputError
from shards.format.recipe import DEFAULT
from shards.format.sample import MEMBERS, array_from_npy
from shards.format.shardset import MemberReader, open_shards
from train.data.shard_dataset import LoaderSettings
from train.data.views import View
from train.data.window import Window
from train.skeleton.nodes import MIRRORED, NODES, sampled_frames
from train.skeleton.pose_batch import SkeletonReader
from train.skeleton.pose_views import SkeletonViews, draw_skeleton_views

LENGTH = 16
SETTINGS = LoaderSettings(Window(LENGTH, 1), DEFAULT, seed=1)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return open_shards(str(make_shards(tmp_path_factory.mktemp("skeletons") / "shards", Plan({"train": 8, "val": 3}))))


@pytest.fixture
def reader(shards):
    reader = SkeletonReader(shards, SETTINGS)
    yield reader
    reader.close()


def read(reader, samples, views, total):
    """A batch as the trainer gets it."""
    return reader.read_as(list(samples), views, total).map(torch.from_numpy)


def seen(batch):
    return batch.inputs(224, training=True)[0]


def draws(shards, samples, epoch=0, seed=1):
    return draw_skeleton_views(seed, epoch, [shards.ids[sample].as_py() for sample in samples], LENGTH)


def plain(samples, mirrored=()):
    return SkeletonViews(np.isin(samples, mirrored))


def test_a_sample_s_keypoints_are_read_as_they_stand_in_the_shard(shards, reader):
    samples, members = list(range(len(shards)))[::-1], MemberReader(shards)
    begin, bend = np.linspace(0, 0.3, len(samples)), np.linspace(-0.3, 0.4, len(samples))
    for views in (plain(samples), SkeletonViews(np.zeros(len(samples), bool), begin, begin + 0.6, bend)):
        batch = read(reader, samples, views, 0)
        frames = sampled_frames(shards.frames[samples], LENGTH, views.begin, views.end, views.bend)
        for number, sample in enumerate(samples):
            keypoints = array_from_npy(members.read(sample, MEMBERS.index("pose.npy")))
            np.testing.assert_array_equal(batch.skeletons[number], skeleton_of(keypoints, frames[number]))
    assert batch.skeletons.any()
    members.close()


def test_a_part_of_a_clip_is_what_the_view_says(shards, reader):
    sample = int(shards.frames.argmax())
    last = int(shards.frames[sample]) - 1
    views = [View(), View(part=(2 / last, 6 / last), mirrored=True)]
    batch = reader.read([sample, sample], views, 2, None).map(torch.from_numpy)
    members = MemberReader(shards)
    keypoints = array_from_npy(members.read(sample, MEMBERS.index("pose.npy")))
    members.close()
    np.testing.assert_array_equal(batch.skeletons[0], skeleton_of(keypoints, sampled_frames(last + 1, LENGTH)))
    np.testing.assert_array_equal(batch.skeletons[1], skeleton_of(keypoints, 2 + sampled_frames(5, LENGTH)))
    assert batch.mirrored.tolist() == [False, True]


def test_a_sample_is_the_same_in_any_batch(shards, reader):
    samples = [5, 0, 7, 2, 3]
    together = read(reader, samples, draws(shards, samples), 5)
    found = seen(together)
    assert together.ids == [shards.ids[sample].as_py() for sample in samples]
    assert together.labels.tolist() == shards.labels[samples].tolist()
    for place, sample in enumerate(samples):
        alone = read(reader, [sample], draws(shards, [sample]), 1)
        assert torch.equal(seen(alone)[0], found[place])
    other = read(reader, samples, draws(shards, samples, epoch=1), 5)
    assert not torch.equal(seen(other), found)


def test_without_a_distortion_the_model_sees_the_clip_as_it_is(shards, reader):
    batch = read(reader, [0, 1], plain([0, 1]), 2)
    assert batch.distortions == ()
    assert torch.equal(seen(batch), batch.skeletons)


def test_the_mirrored_view_swaps_sides(shards, reader):
    skeletons = read(reader, [0, 1], plain([0, 1]), 2).skeletons
    found = seen(read(reader, [0, 1], plain([0, 1], mirrored=[0]), 2))
    assert torch.equal(found[1], skeletons[1])
    for place, point in enumerate(NODES.tolist()):
        other = NODES.tolist().index(OTHER_SIDE[point])
        assert torch.equal(found[0, :, place], skeletons[0, :, other] * torch.tensor([-1.0, 1.0, 1.0]))


def test_a_distortion_is_the_mirror_then_the_map_then_noise_and_what_is_hidden(shards, reader):
    samples = list(range(8))
    views = draws(shards, samples)
    assert 0 < views.mirrored.sum() < 8
    batch = read(reader, samples, views, 8)
    batch.skeletons[:, 3, 4] = 0  # a missing point stays missing
    columns = (batch.skeletons.numpy(), views.mirrored, *views.distortions, seen(batch).numpy())
    for clip, mirrored, affine, noise, hidden, found in zip(*columns, strict=True):
        if mirrored:
            clip = clip[:, MIRRORED] * np.float32([-1, 1, 1])
        place = np.einsum("ij,tnj->tni", affine[:, :2], clip[..., :2]) + affine[:, 2] + noise
        shown = (clip[..., 2] > 0) & ~hidden
        np.testing.assert_allclose(found[..., :2], np.where(shown[..., None], place, 0), atol=1e-5)
        np.testing.assert_array_equal(found[..., 2], np.where(shown, clip[..., 2], 0))


def test_parts_of_a_batch_are_the_batches_of_its_parts(shards, reader):
    samples, views = [0, 1, 2, 3, 4], draws(shards, range(5))
    parts = read(reader, samples, views, 0).split([(2, 2), (3, 6)])
    for part, few in zip(parts, ([0, 1], [2, 3, 4]), strict=True):
        expected = read(reader, few, draws(shards, few), len(few))
        assert part.ids == expected.ids
        for one, other in zip(part.tensors(), expected.tensors(), strict=True):
            assert torch.equal(one, other)
    assert [part.total for part in parts] == [2, 6]


def test_a_damaged_member_is_named(tmp_path):
    shards = open_shards(str(make_shards(tmp_path / "shards", Plan({"train": 3}))))
    pose = MEMBERS.index("pose.npy")
    descriptor = os.open(shards.paths[0], os.O_WRONLY)
    os.pwrite(descriptor, b"junk", int(shards.offsets[1, pose]))
    # A place that is no number, at a point that has a score: the last of the clip.
    point = np.array([np.nan, 1, 1], np.float32).tobytes()
    frames = int(shards.frames[2])
    start = int(shards.offsets[2, pose] + shards.sizes[2, pose]) - frames * 135 * 12 + 9 * 12
    os.pwrite(descriptor, point, start)
    os.close(descriptor)
    reader = SkeletonReader(shards, SETTINGS)
    for sample in (1, 2):
        with pytest.raises(InputError, match=f"train-000.tar: sample {shards.ids[sample]} is damaged"):
            read(reader, [0, sample], plain([0, sample]), 2)
    assert read(reader, [0], plain([0]), 1).skeletons.any()
    with pytest.raises(InputError, match="frames"):
        SkeletonReader(replace(shards, frames=shards.frames + 1), SETTINGS).read([0], [View()], 1, None)
    reader.close()


def test_samples_without_keypoints_are_refused(shards):
    SkeletonReader.check(shards, SETTINGS)
    offsets = shards.offsets.copy()
    offsets[2, MEMBERS.index("pose.npy")] = -1
    with pytest.raises(InputError, match=f"{shards.ids[2]}"):
        SkeletonReader.check(replace(shards, offsets=offsets), SETTINGS)
