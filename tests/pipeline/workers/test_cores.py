import os
import subprocess
import sys

import pytest

from pipeline.workers.cores import one_core

CORES = os.sched_getaffinity(0)


def test_thread_and_children_stay_on_one_core_and_get_all_back() -> None:
    with one_core():
        (core,) = os.sched_getaffinity(0)
        said = subprocess.check_output([sys.executable, "-c", "import os; print(*os.sched_getaffinity(0))"])
    assert int(said) == core
    assert core in CORES
    assert os.sched_getaffinity(0) == CORES


def test_a_failure_gives_them_back_too() -> None:
    with pytest.raises(ZeroDivisionError), one_core():
        _ = 1 / 0
    assert os.sched_getaffinity(0) == CORES


def test_where_it_is_forbidden_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(pid: int, cores: set[int]) -> None:
        raise PermissionError("no")

    monkeypatch.setattr(os, "sched_setaffinity", forbidden)
    with one_core():
        assert os.sched_getaffinity(0) == CORES
