"""Running `pipeline run` as processes of their own, and looking at what they leave."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from helpers.data.clip_making import make_clip

ROOT = Path(__file__).parents[3]


def command(data: Path, work: Path, *more: str) -> list[str]:
    """`pipeline run` on an AUTSL tree or a CSV."""
    return [sys.executable, "-m", "pipeline.cli", "run", "--data", str(data), "--work", str(work), *more]


def run(data: Path, work: Path, *more: str, **options) -> subprocess.CompletedProcess[str]:
    """Run it to its end, for which a busy machine may need minutes; `options` are those of subprocess.run."""
    return subprocess.run(command(data, work, *more), cwd=ROOT, capture_output=True, text=True, timeout=600, **options)


def start(data: Path, work: Path, *more: str, **options) -> subprocess.Popen[str]:
    """Start it in a process group of its own, heeding SIGINT, which a test run in the background was told to ignore."""

    def heed_interrupts() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    log = (work.parent / f"{work.name}.log").open("a")
    with log:
        return subprocess.Popen(
            command(data, work, *more),
            cwd=ROOT,
            stdout=log,
            stderr=log,
            text=True,
            start_new_session=True,
            preexec_fn=heed_interrupts,
            **options,
        )


def fake_openpose(folder: Path) -> Path:
    """An executable for --openpose-bin."""
    path = folder / "openpose.bin"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ROOT}/tools/fake_openpose.py" "$@"\n')
    path.chmod(0o755)
    return path


def clips(ffmpeg: str, folder: Path, names: list[str], frames: int = 8) -> Path:
    """An AUTSL tree of colour clips, all in `train`."""
    first = folder / "train" / f"{names[0]}_color.mp4"
    first.parent.mkdir(parents=True)
    make_clip(ffmpeg, first, frames)
    for name in names[1:]:
        shutil.copy(first, first.with_name(f"{name}_color.mp4"))
    return folder


def digests(work: Path) -> dict[str, str]:
    """SHA-256 of everything in the shards folder that a reader uses."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((work / "shards").iterdir())
        if not path.name.startswith(".")
    }


def leftovers(work: Path) -> list[Path]:
    """Temporary files."""
    return list(work.rglob("*.tmp"))


def without_tracker(stderr: str) -> str:
    """What was said, but for loky's resource tracker, which may warn of a semaphore that went with killed workers."""
    lines = stderr.splitlines(keepends=True)
    return "".join(line for line in lines if not re.search(r"resource_tracker|^ +warnings\.warn\(", line))


def last_line(stderr: str) -> str:
    """What a run said last, once it is certain that no traceback is in it."""
    assert "Traceback" not in stderr, stderr
    return without_tracker(stderr).splitlines()[-1]


def kill_group(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


def wait_until(true: Callable[[], object], seconds: float = 20.0) -> None:
    """Return when it is true; AssertionError after this time."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


def processes_of(marker: str) -> list[str]:
    """Command lines of live processes whose environment has TEST_MARKER=marker: what a run started, however deep."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if f"TEST_MARKER={marker}\0".encode() in (folder / "environ").read_bytes():
                    found.append((folder / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue
    return found
