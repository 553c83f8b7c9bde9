import pickle
from dataclasses import fields
from multiprocessing.reduction import ForkingPickler

import pytest
import torch

from train.batch import Batch, Pixels
from train.parcel import Parcel
from train.slabs import Slabs


def pixels(values: torch.Tensor) -> Pixels:
    values[:] = torch.arange(values.numel(), dtype=torch.uint8).reshape(values.shape)
    return Pixels(values, torch.tensor([0, 1]), torch.ones(2, 2, dtype=torch.int32), torch.rand(2, 4))


def batch(color: torch.Tensor, depth: torch.Tensor | None) -> Batch:
    return Batch(
        pixels(color),
        None if depth is None else pixels(depth),
        torch.rand(1, 2, 106),
        torch.tensor([3]),
        torch.tensor([True]),
        torch.rand(1, 3),
        ["s1"],
        4,
    )


def assert_same(one: object, other: object) -> None:
    assert type(one) is type(other)
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, Pixels):
            assert_same(a, b)
        elif isinstance(a, torch.Tensor):
            assert (a.dtype, a.tolist()) == (b.dtype, b.tolist())
        else:
            assert a == b


@pytest.mark.parametrize("with_depth", [False, True])
def test_a_parcel_gives_the_batch_and_few_bytes_travel(with_depth: bool) -> None:
    slabs = Slabs(workers=1, each=2, size=300_000)
    color = slabs.take(0, 300_000).reshape(-1, 3)
    sent = batch(color, slabs.take(0, 9).reshape(-1, 1) if with_depth else None)
    data = bytes(ForkingPickler.dumps(Parcel(sent, slabs)))
    assert len(data) < 5_000
    got = pickle.loads(data).open()  # noqa: S301 - our own bytes
    assert_same(got, sent)
    assert got.color.values.data_ptr() == color.data_ptr()


def test_pixels_beside_the_slabs_travel_too() -> None:
    slabs = Slabs(workers=1, each=1, size=3)
    shared = torch.empty(6, dtype=torch.uint8).share_memory_()
    sent = batch(shared.reshape(-1, 3), torch.empty(3, 1, dtype=torch.uint8))
    data = bytes(ForkingPickler.dumps(Parcel(sent, slabs)))
    assert_same(pickle.loads(data).open(), sent)  # noqa: S301
