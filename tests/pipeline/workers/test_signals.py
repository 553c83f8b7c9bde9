"""Signals inside and outside the block."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from pipeline.workers.signals import StoppedBySignal, leave_signals_to_driver, stop_on_signals


@pytest.fixture(autouse=True)
def handlers() -> Iterator[dict[signal.Signals, object]]:
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    # A shell starts what runs in the background with SIGINT ignored.
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield usual
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_raised_once_and_its_echo_dropped(number, handlers) -> None:
    with stop_on_signals():
        with pytest.raises(StoppedBySignal, match=number.name):
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
