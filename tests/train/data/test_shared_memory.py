import gc
import os

import numpy as np
import pytest
import torch

from train.data.shared_memory import SharedBuffer, SharedBuffers

PAGE = 4096  # a buffer has whole pages


def written(buffer: SharedBuffer, values: list[int]) -> np.ndarray:
    room = buffer.room(len(values))
    room[:] = values
    return room


def test_a_buffer_is_free_when_the_last_tensor_on_it_is_gone() -> None:
    buffers = SharedBuffers(workers=1, each=1, size=100)
    buffer = buffers.take(0)
    written(buffer, list(range(60)))
    assert buffers.take(0) is None
    seen = buffers.view(buffer.number)
    row = torch.from_numpy(np.ndarray((6,), np.uint8, seen[2:], 0)[1:4].reshape(3, 1))
    del seen
    gc.collect()
    assert buffers.take(0) is None
    assert row.tolist() == [[3], [4], [5]]
    del row
    assert buffers.take(0).number == buffer.number


def test_workers_have_buffers_of_their_own() -> None:
    buffers = SharedBuffers(workers=3, each=2, size=8)
    taken = [buffers.take(worker) for worker in (0, 0, 1, 1, 2, 2)]
    assert sorted(buffer.number for buffer in taken) == list(range(6))
    assert [buffers.take(worker) for worker in range(3)] == [None] * 3
    pieces = [written(buffer, [number] * PAGE) for number, buffer in enumerate(taken)]
    assert [piece.tolist() for piece in pieces] == [[number] * PAGE for number in range(6)]


def test_pieces_are_aligned_and_do_not_overlap_and_what_is_too_large_gets_no_room() -> None:
    buffer = SharedBuffers(workers=1, each=1, size=PAGE).take(0)
    pieces = [written(buffer, [number] * number) for number in (1, 63, 65, 200)]
    assert [int(piece[0]) for piece in pieces] == [1, 63, 65, 200]
    assert all(piece.__array_interface__["data"][0] % 64 == 0 for piece in pieces)
    assert buffer.room(PAGE - 512 + 1) is None
    assert buffer.room(PAGE - 512) is not None
    assert buffer.room(1) is None


def test_a_cleared_buffer_is_written_from_its_beginning_again() -> None:
    buffers = SharedBuffers(workers=1, each=1, size=PAGE)
    buffer = buffers.take(0)
    written(buffer, [1] * PAGE)
    buffer.clear()
    assert buffer.place(written(buffer, [2] * PAGE)) == 0
    assert buffers.view(buffer.number).tolist() == [2] * PAGE


def test_an_array_is_copied_to_the_buffer_unless_it_is_there() -> None:
    buffers = SharedBuffers(workers=1, each=1, size=PAGE)
    buffer = buffers.take(0)
    there = written(buffer, list(range(90)))
    assert buffer.place(there.reshape(-1, 3)) == 0
    start = buffer.place(np.arange(12, dtype=np.float32).reshape(3, 4))
    assert start == 128
    assert buffer.place(np.zeros(PAGE, np.uint8)) is None
    seen = buffers.view(buffer.number)
    assert seen[start : start + 48].view(np.float32).tolist() == list(range(12))


@pytest.mark.parametrize("keep", [slice(0, 4), slice(4, 4)])
def test_tensors_outlive_the_pool(keep: slice) -> None:
    buffers = SharedBuffers(workers=1, each=1, size=PAGE)
    written(buffers.take(0), [7] * 4)
    seen = buffers.view(0)[keep]
    del buffers
    gc.collect()
    assert seen.tolist() == [7] * 4 or len(seen) == 0


def test_a_forked_process_writes_what_its_parent_reads() -> None:
    buffers = SharedBuffers(workers=1, each=2, size=1000)
    child = os.fork()
    if not child:
        buffers.take(0)
        written(buffers.take(0), [9] * 5)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert buffers.view(1)[:5].tolist() == [9] * 5
    # It was the parent's last look at the second buffer; the first is still the child's.
    assert buffers.take(0).number == 1


def test_a_buffer_is_with_a_worker_until_it_is_viewed() -> None:
    buffers = SharedBuffers(workers=2, each=2, size=PAGE)
    assert not buffers.with_workers()
    buffer = buffers.take(1)
    assert buffers.with_workers()
    seen = buffers.view(buffer.number)
    assert not buffers.with_workers()
    buffers.take(0)
    assert buffers.with_workers()
    buffers.view(0)
    assert not buffers.with_workers()
    assert len(seen) == PAGE
