"""Signals inside and outside the block."""

import os
import signal
import threading

import pytest

from pipeline.stopping import Stopped, leave_signals_to_driver, stop_on_signals


@pytest.fixture(autouse=True)
def handlers():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield before
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_raised_once_and_its_echo_dropped(number, handlers) -> None:
    with stop_on_signals():
        with pytest.raises(Stopped, match=number.name):
            os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)  # timeout(1) sends it twice
    assert signal.getsignal(number) is handlers[number]


def test_a_signal_that_the_caller_ignores_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with stop_on_signals():
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_workers_leave_signals_to_the_driver() -> None:
    leave_signals_to_driver()
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)


def test_other_threads_cannot_have_handlers(handlers) -> None:
    def body() -> None:
        leave_signals_to_driver()
        with stop_on_signals():
            seen.append(signal.getsignal(signal.SIGTERM))

    seen: list = []
    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert seen == [handlers[signal.SIGTERM]]
