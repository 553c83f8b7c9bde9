"""The demo as a whole, on few clips and with as little training as there can be, and its ends in failure."""

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from helpers.processes.pipeline_runs import ROOT, processes_of, wait_until

import pipeline.demo.demo as module
from pipeline.demo import generate
from pipeline.demo.demo import run_demo
from pipeline.demo.generate import DemoSettings
from shards.errors import InputError

pytest.importorskip("torch", reason="torch is not installed (extra [train])")
# Three signers, one per split, who perform each sign once; of the eight signs only the first `SIGNS`.
SETTINGS = DemoSettings(signers_train=1, signers_val=1, signers_test=1, repetitions=1)
SIGNS = 3
TRAINING = (
    "--cnn small --weights none --image-size 32 --sequence-length 4 --num-layers 1 --num-heads 2 --embed-size 16 "
    "--max-epochs 1 --batch-size 8 --num-workers 0"
)
POSE_TRAINING = "--model POSE --max-epochs 1 --batch-size 8 --num-workers 0"


@pytest.fixture(scope="module", autouse=True)
def patch() -> Iterator[pytest.MonkeyPatch]:
    """Few clips and one thread for all tests of this file."""
    with pytest.MonkeyPatch.context() as patch:
        plan = generate.plan
        patch.setattr(generate, "plan", lambda settings: [clip for clip in plan(settings) if clip.label < SIGNS])
        patch.setenv("OMP_NUM_THREADS", "1")  # on busy cores, threads wait for each other
        yield patch


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, patch: pytest.MonkeyPatch) -> tuple[Path, str]:
    """The demo's folder, and what it printed itself; run where a user has a `train.py`."""
    out = tmp_path_factory.mktemp("demo") / "out"
    patch.chdir(tmp_path_factory.mktemp("here"))
    if sys.version_info >= (3, 11):
        Path("train.py").write_text("raise SystemExit('this is not signshards')\n")
    with redirect_stdout(io.StringIO()) as said:
        run_demo(out, SETTINGS, TRAINING, POSE_TRAINING)
    return out, said.getvalue()


def test_it_goes_from_clips_to_a_report(demo: tuple[Path, str]) -> None:
    out, said = demo
    assert (out / "run" / "best.pt").is_file()
    assert (out / "run_pose" / "best.pt").is_file()
    with (out / "both.csv").open(newline="") as file:
        predicted = [name for name, _ in csv.reader(file)]
    with (out / "clips" / "labels.csv").open(newline="") as file:
        test = [name for name, _, split in csv.reader(file) if split == "test"]
    assert sorted(predicted) == sorted(test)
    assert len(test) == SIGNS
    report = json.loads((out / "report" / "report.json").read_text())
    assert report["samples"] == SIGNS
    assert "data:image" in (out / "report" / "index.html").read_text()
    lines = said.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("$ ")] == [
        "pipeline",
        *["train"] * 2,
        *["predict"] * 3,
        "evaluate",
    ]
    assert f"{out / 'report' / 'index.html'}" in lines[-2]
    assert "nothing about real signs" in lines[-1]


def test_its_table_has_both_streams_and_chance(demo: tuple[Path, str]) -> None:
    out, said = demo
    truth = dict(line.split(",")[:2] for line in (out / "test_labels.csv").read_text().split())
    for name in ("crops", "skeleton", "both"):
        answers = [line.split(",") for line in (out / f"{name}.csv").read_text().split()]
        hits = sum(truth[sample_id] == label for sample_id, label in answers)
        assert re.search(rf"^  {name} +{hits} of {SIGNS} +{hits / SIGNS:.1%}$", said, re.M)
    assert re.search(rf"^  chance +1 of {SIGNS} +33.3%$", said, re.M)


def test_the_commands_it_shows_can_be_typed(demo: tuple[Path, str]) -> None:
    """A shell would take an unquoted pattern apart into files, of which `--shards` takes one."""
    out, said = demo
    assert f"--shards '{out}/work/shards/test-*.tar'" in said


def test_a_command_that_fails_ends_it(
    demo: tuple[Path, str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("clips", "work"):
        shutil.copytree(demo[0] / name, tmp_path / name)
    with pytest.raises(SystemExit, match="2"):
        run_demo(tmp_path, SETTINGS, "--max-epochs none")
    said = capfd.readouterr()
    assert "`train` ended with status 2; see above" in said.err
    assert f"handcrops: {3 * SIGNS} done, 0 to do" in said.err  # nothing is done twice
    assert "Invalid value for '--max-epochs'" in said.err
    assert "$ predict" not in said.out
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize(("end", "status"), [("sys.exit(3)", 3), ("os.kill(os.getpid(), 9)", 1)])
def test_it_ends_with_the_status_of_the_command(
    end: str, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "failing.py").write_text(f"import os, sys; {end}")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setitem(module._MODULES, "pipeline", "failing")
    with pytest.raises(SystemExit) as caught:
        run_demo(tmp_path / "out", SETTINGS)
    assert caught.value.code == status


def test_only_the_labels_of_unseen_signers_are_evaluated(demo: tuple[Path, str]) -> None:
    """With those of all signers, `evaluate` would warn that most have no prediction."""
    rows = (demo[0] / "test_labels.csv").read_text().splitlines()
    assert len(rows) == SIGNS
    assert all(row.endswith(",test") for row in rows)


@pytest.mark.slow
def test_sigterm_ends_the_command_under_way(demo: tuple[Path, str], tmp_path: Path) -> None:
    """SIGTERM to the demo alone, while `train` runs: its child ends, too, and the exit status is 1."""
    for name in ("clips", "work"):
        shutil.copytree(demo[0] / name, tmp_path / name)
    marker, long = f"demo-{os.getpid()}", TRAINING.replace("epochs 1", "epochs 500")
    script = (
        "from pathlib import Path; from click import ClickException; import pipeline.demo.generate as generate\n"
        "import pipeline.demo.demo as run; plan = generate.plan\n"
        f"generate.plan = lambda settings: [clip for clip in plan(settings) if clip.label < {SIGNS}]\n"
        f"try: run.run_demo(Path({str(tmp_path)!r}), generate.{SETTINGS!r}, {long!r})\n"
        "except ClickException as error: error.show(); raise SystemExit(error.exit_code)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=os.environ | {"TEST_MARKER": marker},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        wait_until((tmp_path / "run" / "metrics.csv").exists, 100)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "stopped by SIGTERM" in errors.splitlines()[-1]
    assert "resource_tracker" not in errors
    assert not processes_of(marker)


def test_it_needs_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"needs torch: pip install 'signshards\[train\]'"):
        run_demo(tmp_path / "out")
    assert not (tmp_path / "out").exists()
