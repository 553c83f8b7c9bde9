import os
import signal

import pytest
import torch

from train.ranks.distributed import Ranks
from train.ranks.stopping import StopRequest

ALONE = Ranks(0, 1, torch.device("cpu"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_is_a_request_within_the_block_only(number):
    before = signal.getsignal(number)
    with StopRequest(ALONE) as stop:
        assert not stop.agreed()
        os.kill(os.getpid(), number)
        assert stop.agreed()
        assert stop.agreed()  # and stays one
    assert signal.getsignal(number) is before


def test_handlers_come_back_after_an_error():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ZeroDivisionError), StopRequest(ALONE):
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGTERM) is before
