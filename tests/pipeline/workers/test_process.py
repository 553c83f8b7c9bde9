"""Programs that end, fail, hang, and start others."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import pytest
from helpers.processes.pipeline_runs import processes_of, wait_until

from pipeline.errors import ClipError
from pipeline.workers.process import Supervised, capture, kill_group, remove_json_folders, run_child, start_group

SHELL = ["sh", "-c"]


@pytest.fixture
def marker() -> str:
    return uuid.uuid4().hex


def environment(marker: str) -> dict[str, str]:
    return os.environ | {"TEST_MARKER": marker}


def test_capture() -> None:
    assert capture([*SHELL, "echo out; echo err >&2; exit 3"], 10, "x") == (3, b"out\n", b"err\n")
    with pytest.raises(ClipError, match="/nonexistent: cannot be started"):
        capture(["/nonexistent"], 10, "x")


def test_capture_ends_what_hangs_and_what_it_started(marker) -> None:
    start = time.monotonic()
    with pytest.raises(ClipError, match=r"a.mp4: sh did not finish in 0.3 s"):
        capture([*SHELL, f"export TEST_MARKER={marker}; sleep 60 & sleep 60"], 0.3, "a.mp4")
    assert time.monotonic() - start < 5
    wait_until(lambda: not processes_of(marker), 5)


def test_kill_group_does_nothing_to_what_has_ended() -> None:
    with start_group(["true"], subprocess.PIPE, subprocess.PIPE) as process:
        process.wait()
        kill_group(process)
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["/nonexistent"], "a.mp4: /nonexistent cannot be started (No such file or directory)"),
        (["/etc"], "a.mp4: /etc cannot be started (Permission denied)"),
        ([*SHELL, "echo first >&2; echo 'the reason' >&2; exit 3"], "a.mp4: sh ended with 3: the reason"),
        ([*SHELL, "exit 1"], "a.mp4: sh ended with 1: no message"),
        ([*SHELL, "kill -SEGV $$"], "a.mp4: sh ended with -11: no message"),
    ],
)
def test_run_child_says_how_it_failed(command: list[str], said: str) -> None:
    with pytest.raises(ClipError) as caught:
        run_child(command, os.environ, 10, "a.mp4")
    assert str(caught.value).startswith(said)


def test_run_child_passes_environment_and_arguments(tmp_path) -> None:
    out = tmp_path / "out"
    run_child([*SHELL, 'echo "$WORD $1 $2" > "$3"', "sh", "a b", "$x", str(out)], os.environ | {"WORD": "w"}, 10, "x")
    assert out.read_text() == "w a b $x\n"


def test_run_child_keeps_only_the_end_of_a_long_log() -> None:
    with pytest.raises(ClipError, match=r"ended with 1: the end$"):
        run_child([*SHELL, "seq 100000 >&2; echo the end >&2; exit 1"], os.environ, 10, "x")


def test_run_child_ends_what_hangs_and_what_it_started(marker) -> None:
    start = time.monotonic()
    with pytest.raises(ClipError, match=r"a.mp4: sh did not finish in 0.3 s"):
        run_child([*SHELL, "sleep 60 & sleep 60"], environment(marker), 0.3, "a.mp4")
    assert time.monotonic() - start < 5
    wait_until(lambda: not processes_of(marker), 5)


def test_run_child_ends_what_a_program_leaves_behind(marker) -> None:
    run_child([*SHELL, "sleep 60 & exit 0"], environment(marker), 10, "x")
    wait_until(lambda: not processes_of(marker), 5)


def test_a_killed_parent_takes_its_child_along(marker) -> None:
    code = "from os import environ; from pipeline.workers.process import run_child; "
    code += "run_child(['sh', '-c', 'sleep 60'], environ, 60, 'x')"
    with subprocess.Popen([sys.executable, "-c", code], env=environment(marker)) as parent:
        wait_until(lambda: any(line.startswith("sleep") for line in processes_of(marker)))
        parent.kill()
    wait_until(lambda: not processes_of(marker), 5)


def test_a_killed_supervisor_is_noticed_and_its_command_ended(marker) -> None:
    child = Supervised(["sleep", "60"], environment(marker))
    wait_until(lambda: any(line.startswith("sleep") for line in processes_of(marker)))
    child.process.kill()
    assert child.wait(5) == "its supervisor was killed"
    child.end()
    wait_until(lambda: not processes_of(marker), 5)


def test_importing_the_supervisor_runs_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", "import pipeline.workers.supervise"], capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")


_WORKER = (
    "import os; from pipeline.workers.process import json_folder; f = json_folder(); open(f.name + '/a.json', 'w'); "
)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


@pytest.mark.parametrize(("end", "left"), [("f.cleanup()", 0), ("os.kill(os.getpid(), 9)", 1)])
def test_the_driver_removes_what_a_killed_worker_left(temporary: Path, end: str, left: int) -> None:
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", _WORKER + end], cwd=root, timeout=60, check=False)
    assert len(list(temporary.glob("*/a.json"))) == left
    remove_json_folders()
    assert list(temporary.iterdir()) == []


def test_those_of_other_drivers_and_links_to_elsewhere_stay(temporary: Path) -> None:
    name, ours = os.uname().nodename, os.getpid()
    other, link, target = (
        temporary / f"signshards-{name}-{ours}0-a",
        temporary / f"signshards-{name}-{ours}-b",
        temporary / "c",
    )
    other.mkdir()
    target.mkdir()
    (target / "kept").touch()
    link.symlink_to(target)
    remove_json_folders()
    assert other.is_dir() and (target / "kept").exists()


def test_time_in_which_we_were_stopped_does_not_count() -> None:
    code = "from pipeline.workers.process import capture; print(capture(['sh', '-c', 'sleep 5; echo late'], 4, 'x'))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        wait_until(Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text, 60)
        os.kill(child.pid, signal.SIGSTOP)
        time.sleep(6)
        os.kill(child.pid, signal.SIGCONT)
        said, _ = child.communicate(timeout=60)
    assert "late" in said
