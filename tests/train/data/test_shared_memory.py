import gc
import os

import numpy as np
import pytest
import torch

from train.data.shared_memory import Slab, Slabs

PAGE = 4096  # a slab has whole pages


def written(slab: Slab, values: list[int]) -> np.ndarray:
    room = slab.room(len(values))
    room[:] = values
    return room


def test_a_slab_is_free_when_the_last_tensor_on_it_is_gone() -> None:
    slabs = Slabs(workers=1, each=1, size=100)
    slab = slabs.take(0)
    written(slab, list(range(60)))
    assert slabs.take(0) is None
    seen = slabs.view(slab.number)
    row = torch.from_numpy(np.ndarray((6,), np.uint8, seen[2:], 0)[1:4].reshape(3, 1))
    del seen
    gc.collect()
    assert slabs.take(0) is None
    assert row.tolist() == [[3], [4], [5]]
    del row
    assert slabs.take(0).number == slab.number


def test_workers_have_slabs_of_their_own() -> None:
    slabs = Slabs(workers=3, each=2, size=8)
    taken = [slabs.take(worker) for worker in (0, 0, 1, 1, 2, 2)]
    assert sorted(slab.number for slab in taken) == list(range(6))
    assert [slabs.take(worker) for worker in range(3)] == [None] * 3
    pieces = [written(slab, [number] * PAGE) for number, slab in enumerate(taken)]
    assert [piece.tolist() for piece in pieces] == [[number] * PAGE for number in range(6)]


def test_pieces_are_aligned_and_do_not_overlap_and_what_is_too_large_gets_no_room() -> None:
    slab = Slabs(workers=1, each=1, size=PAGE).take(0)
    pieces = [written(slab, [number] * number) for number in (1, 63, 65, 200)]
    assert [int(piece[0]) for piece in pieces] == [1, 63, 65, 200]
    assert all(piece.__array_interface__["data"][0] % 64 == 0 for piece in pieces)
    assert slab.room(PAGE - 512 + 1) is None
    assert slab.room(PAGE - 512) is not None
    assert slab.room(1) is None


def test_a_cleared_slab_is_written_from_its_beginning_again() -> None:
    slabs = Slabs(workers=1, each=1, size=PAGE)
    slab = slabs.take(0)
    written(slab, [1] * PAGE)
    slab.clear()
    assert slab.place(written(slab, [2] * PAGE)) == 0
    assert slabs.view(slab.number).tolist() == [2] * PAGE


def test_an_array_is_copied_to_the_slab_unless_it_is_there() -> None:
    slabs = Slabs(workers=1, each=1, size=PAGE)
    slab = slabs.take(0)
    there = written(slab, list(range(90)))
    assert slab.place(there.reshape(-1, 3)) == 0
    start = slab.place(np.arange(12, dtype=np.float32).reshape(3, 4))
    assert start == 128
    assert slab.place(np.zeros(PAGE, np.uint8)) is None
    seen = slabs.view(slab.number)
    assert seen[start : start + 48].view(np.float32).tolist() == list(range(12))


@pytest.mark.parametrize("keep", [slice(0, 4), slice(4, 4)])
def test_tensors_outlive_the_pool(keep: slice) -> None:
    slabs = Slabs(workers=1, each=1, size=PAGE)
    written(slabs.take(0), [7] * 4)
    seen = slabs.view(0)[keep]
    del slabs
    gc.collect()
    assert seen.tolist() == [7] * 4 or len(seen) == 0


def test_a_forked_process_writes_what_its_parent_reads() -> None:
    slabs = Slabs(workers=1, each=2, size=1000)
    child = os.fork()
    if not child:
        slabs.take(0)
        written(slabs.take(0), [9] * 5)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert slabs.view(1)[:5].tolist() == [9] * 5
    # It was the parent's last look at the second slab; the first is still the child's.
    assert slabs.take(0).number == 1


def test_a_slab_is_with_a_worker_until_it_is_viewed() -> None:
    slabs = Slabs(workers=2, each=2, size=PAGE)
    assert not slabs.with_workers()
    slab = slabs.take(1)
    assert slabs.with_workers()
    seen = slabs.view(slab.number)
    assert not slabs.with_workers()
    slabs.take(0)
    assert slabs.with_workers()
    slabs.view(0)
    assert not slabs.with_workers()
    assert len(seen) == PAGE
