import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.shard_making import Plan, make_shards
from helpers.skeleton_making import OTHER_SIDE

from shards.errors import InputError
from shards.format.sample import MEMBERS, array_from_npy
from shards.format.shardset import MemberReader, open_shards
from train.data.skeleton import MIRRORED, NODES, sampled_frames, skeleton_of
from train.data.skeleton_batch import check_skeletons, read_skeletons, seen_skeletons
from train.data.skeleton_views import SkeletonViews, draw_skeleton_views

LENGTH = 16


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return open_shards(str(make_shards(tmp_path_factory.mktemp("skeletons") / "shards", Plan({"train": 8, "val": 3}))))


@pytest.fixture
def reader(shards):
    reader = MemberReader(shards)
    yield reader
    reader.close()


def draws(shards, samples, epoch=0, seed=1):
    return draw_skeleton_views(seed, epoch, [shards.ids[sample].as_py() for sample in samples], LENGTH)


def plain(samples, mirrored=()):
    return SkeletonViews(np.isin(samples, mirrored))


def test_a_sample_s_keypoints_are_read_as_they_stand_in_the_shard(shards, reader):
    samples = list(range(len(shards)))[::-1]
    begin, bend = np.linspace(0, 0.3, len(samples)), np.linspace(-0.3, 0.4, len(samples))
    for views in (plain(samples), SkeletonViews(np.zeros(len(samples), bool), begin, begin + 0.6, bend)):
        batch = read_skeletons(shards, reader, samples, LENGTH, views, 0)
        frames = sampled_frames(shards.frames[samples], LENGTH, views.begin, views.end, views.bend)
        for number, sample in enumerate(samples):
            keypoints = array_from_npy(reader.read(sample, MEMBERS.index("pose.npy")))
            np.testing.assert_array_equal(batch.skeletons[number], skeleton_of(keypoints, frames[number]))
    assert batch.skeletons.any()


def test_a_sample_is_the_same_in_any_batch(shards, reader):
    samples = [5, 0, 7, 2, 3]
    together = read_skeletons(shards, reader, samples, LENGTH, draws(shards, samples), 5)
    seen = seen_skeletons(together)
    assert together.ids == [shards.ids[sample].as_py() for sample in samples]
    assert together.labels.tolist() == shards.labels[samples].tolist()
    for place, sample in enumerate(samples):
        alone = read_skeletons(shards, reader, [sample], LENGTH, draws(shards, [sample]), 1)
        assert torch.equal(seen_skeletons(alone)[0], seen[place])
    other = read_skeletons(shards, reader, samples, LENGTH, draws(shards, samples, epoch=1), 5)
    assert not torch.equal(seen_skeletons(other), seen)


def test_without_a_distortion_the_model_sees_the_clip_as_it_is(shards, reader):
    batch = read_skeletons(shards, reader, [0, 1], LENGTH, plain([0, 1]), 2)
    assert batch.distortions == ()
    assert torch.equal(seen_skeletons(batch), batch.skeletons)


def test_the_mirrored_view_swaps_sides(shards, reader):
    skeletons = read_skeletons(shards, reader, [0, 1], LENGTH, plain([0, 1]), 2).skeletons
    seen = seen_skeletons(read_skeletons(shards, reader, [0, 1], LENGTH, plain([0, 1], mirrored=[0]), 2))
    assert torch.equal(seen[1], skeletons[1])
    for place, point in enumerate(NODES.tolist()):
        other = NODES.tolist().index(OTHER_SIDE[point])
        assert torch.equal(seen[0, :, place], skeletons[0, :, other] * torch.tensor([-1.0, 1.0, 1.0]))


def test_a_distortion_is_the_mirror_then_the_map_then_noise_and_what_is_hidden(shards, reader):
    samples = list(range(8))
    views = draws(shards, samples)
    assert 0 < views.mirrored.sum() < 8
    batch = read_skeletons(shards, reader, samples, LENGTH, views, 8)
    batch.skeletons[:, 3, 4] = 0  # a missing point stays missing
    seen = seen_skeletons(batch).numpy()
    columns = (batch.skeletons.numpy(), views.mirrored, *views.distortions, seen)
    for clip, mirrored, affine, noise, hidden, found in zip(*columns, strict=True):
        if mirrored:
            clip = clip[:, MIRRORED] * np.float32([-1, 1, 1])
        place = np.einsum("ij,tnj->tni", affine[:, :2], clip[..., :2]) + affine[:, 2] + noise
        shown = (clip[..., 2] > 0) & ~hidden
        np.testing.assert_allclose(found[..., :2], np.where(shown[..., None], place, 0), atol=1e-5)
        np.testing.assert_array_equal(found[..., 2], np.where(shown, clip[..., 2], 0))


def test_parts_of_a_batch_are_the_batches_of_its_parts(shards, reader):
    samples, views = [0, 1, 2, 3, 4], draws(shards, range(5))
    parts = read_skeletons(shards, reader, samples, LENGTH, views, 0).split([(2, 2), (3, 6)])
    for part, few in zip(parts, ([0, 1], [2, 3, 4]), strict=True):
        expected = read_skeletons(shards, reader, few, LENGTH, draws(shards, few), len(few))
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
    reader = MemberReader(shards)
    for sample in (1, 2):
        with pytest.raises(InputError, match=f"train-000.tar: sample {shards.ids[sample]} is damaged"):
            read_skeletons(shards, reader, [0, sample], LENGTH, plain([0, sample]), 2)
    assert read_skeletons(shards, reader, [0], LENGTH, plain([0]), 1).skeletons.any()
    with pytest.raises(InputError, match="frames"):
        read_skeletons(replace(shards, frames=shards.frames + 1), reader, [0], LENGTH, plain([0]), 1)
    reader.close()


def test_samples_without_keypoints_are_refused(shards):
    check_skeletons(shards)
    offsets = shards.offsets.copy()
    offsets[2, MEMBERS.index("pose.npy")] = -1
    with pytest.raises(InputError, match=f"{shards.ids[2]}"):
        check_skeletons(replace(shards, offsets=offsets))
