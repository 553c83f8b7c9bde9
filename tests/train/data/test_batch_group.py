import pickle
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
import torch

from shards.errors import InputError
from train.crops.crop_batch import CropBatch
from train.crops.pixels import Pixels
from train.data.batch_group import BatchGroup
from train.data.shared_memory import SharedBuffer, SharedBuffers


def pixels(values: np.ndarray) -> Pixels:
    values[:] = np.arange(values.size, dtype=np.uint8).reshape(values.shape)
    return Pixels(
        values, np.array([0, 1]), np.ones((2, 2), np.int32), np.random.default_rng(0).random((2, 4), np.float32)
    )


def batch(color: np.ndarray, depth: np.ndarray | None) -> CropBatch:
    random = np.random.default_rng(1)
    return CropBatch(
        pixels(color),
        None if depth is None else pixels(depth),
        random.random((1, 2, 106), np.float32),
        np.array([3]),
        np.array([True]),
        random.random((1, 3), np.float32),
        ["s1"],
        4,
    )


def travelled(sent: CropBatch, buffer: SharedBuffer | None) -> tuple[CropBatch, int]:
    data = bytes(ForkingPickler.dumps(BatchGroup(sent, buffer, [(len(sent.ids), sent.total)])))
    (got,) = pickle.loads(data).open()  # noqa: S301 - our own bytes
    return got, len(data)


def assert_same(got: CropBatch, sent: CropBatch) -> None:
    assert (got.ids, got.total, got.depth is None) == (sent.ids, sent.total, sent.depth is None)
    for tensor, array in zip(got.tensors(), sent.tensors(), strict=True):
        assert tensor.dtype == torch.from_numpy(array).dtype
        np.testing.assert_array_equal(tensor.numpy(), array)


@pytest.mark.parametrize("with_depth", [False, True])
def test_a_group_gives_the_batch_and_few_bytes_travel(with_depth: bool) -> None:
    buffers = SharedBuffers(workers=1, each=1, size=400_000)
    buffer = buffers.take(0)
    color = buffer.room(300_000)
    sent = batch(color.reshape(-1, 3), buffer.room(9).reshape(-1, 1) if with_depth else None)
    got, length = travelled(sent, buffer)
    assert length < 1_000
    assert_same(got, sent)
    assert got.color.values.data_ptr() == color.__array_interface__["data"][0]
    del got
    assert buffers.take(0).number == buffer.number


def test_what_finds_no_room_in_the_buffer_travels_too() -> None:
    buffer = SharedBuffers(workers=1, each=1, size=4096).take(0)
    sent = batch(np.empty((2000, 3), np.uint8), np.empty((3, 1), np.uint8))
    got, length = travelled(sent, buffer)
    assert_same(got, sent)
    assert 6_000 < length < 7_500


def test_a_group_without_a_buffer() -> None:
    sent = batch(np.empty((2, 3), np.uint8), None)
    assert_same(travelled(sent, None)[0], sent)


def test_several_batches_and_an_error_travel_in_a_group() -> None:
    random = np.random.default_rng(2)
    # Two samples of two places each; a crop of 2 × 1 pixels that stands twice, then two of 1 × 3 and 1 × 1.
    color = Pixels(
        random.integers(0, 255, (6, 3), np.uint8),
        np.array([0, 0, 2, 5]),
        np.array([(2, 1), (2, 1), (1, 3), (1, 1)], np.int32),
        random.random((4, 4), np.float32),
    )
    rest = random.random((2, 2, 106), np.float32), np.array([3, 4]), np.array([True, False])
    sent = CropBatch(color, None, *rest, random.random((2, 3), np.float32), ["s1", "s2"], 0)
    buffer = SharedBuffers(workers=1, each=1, size=4096).take(0)
    group = BatchGroup(sent, buffer, [(1, 7), (1, 5)], InputError("s3 is damaged"))
    *got, error = pickle.loads(bytes(ForkingPickler.dumps(group))).open()  # noqa: S301 - our own bytes
    assert error.message == "s3 is damaged"
    for number, (batch, crops, start) in enumerate(zip(got, (slice(0, 2), slice(2, 6)), ([0, 0], [0, 3]), strict=True)):
        one, places = slice(number, number + 1), slice(2 * number, 2 * number + 2)
        pixels = Pixels(color.values[crops], np.array(start), color.size[places], color.box[places])
        tensors = [tensor[one] for tensor in (sent.pose, sent.labels, sent.mirrored, sent.light)]
        assert_same(batch, CropBatch(pixels, None, *tensors, sent.ids[one], (7, 5)[number]))


def test_a_group_of_nothing_but_an_error() -> None:
    group = BatchGroup(None, None, [], InputError("s1 is damaged"))
    assert [error.message for error in group.open()] == ["s1 is damaged"]
