import gc
import os

import pytest
import torch

from train.slabs import Slabs


def test_a_slab_is_free_when_the_last_tensor_on_it_is_gone() -> None:
    slabs = Slabs(workers=1, each=1, size=100)
    written = slabs.take(0, 60)
    written[:] = torch.arange(60, dtype=torch.uint8)
    assert slabs.take(0, 1) is None
    seen = slabs.view(slabs.number(written), (20, 3))
    row = seen[1].numpy()
    del seen
    gc.collect()
    assert slabs.take(0, 1) is None
    assert row.tolist() == [3, 4, 5]
    del row
    again = slabs.take(0, 100)
    assert again.data_ptr() == written.data_ptr()


def test_workers_have_slabs_of_their_own() -> None:
    slabs = Slabs(workers=3, each=2, size=8)
    taken = [slabs.take(worker, 8) for worker in (0, 0, 1, 1, 2, 2)]
    assert sorted(slabs.number(tensor) for tensor in taken) == list(range(6))
    assert [slabs.take(worker, 1) for worker in range(3)] == [None] * 3
    for number, tensor in enumerate(taken):
        tensor[:] = number
    assert [tensor.tolist() for tensor in taken] == [[number] * 8 for number in range(6)]


def test_what_is_too_large_gets_none() -> None:
    slabs = Slabs(workers=1, each=1, size=10)
    assert slabs.take(0, 11) is None
    assert slabs.take(0, 10) is not None


@pytest.mark.parametrize("tensor", [torch.zeros(10, dtype=torch.uint8), torch.zeros(0, dtype=torch.uint8)])
def test_other_memory_is_not_on_a_slab(tensor: torch.Tensor) -> None:
    slabs = Slabs(workers=1, each=4, size=10)
    assert slabs.number(tensor) is None
    assert slabs.number(slabs.take(0, 10)[3:]) is None


def test_tensors_outlive_the_pool() -> None:
    slabs = Slabs(workers=1, each=1, size=4096)
    slabs.take(0, 4)[:] = 7
    seen = slabs.view(0, (4,))
    del slabs
    gc.collect()
    assert seen.tolist() == [7] * 4


def test_a_forked_process_writes_what_its_parent_reads() -> None:
    slabs = Slabs(workers=1, each=2, size=1000)
    child = os.fork()
    if not child:
        slabs.take(0, 1000)
        slabs.take(0, 5)[:] = 9
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert slabs.view(1, (5,)).tolist() == [9] * 5
    # It was the parent's last look at the second slab; the first is still the child's.
    assert slabs.number(slabs.take(0, 1)) == 1
