"""The GPU check, in its small form on a CPU: every part runs, and figures are of what ran."""

import configparser
import json
import os
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from helpers.data.shard_making import Plan, make_shards

from tools.gpu_check import MODELS, lines, parts_of
from tools.gpu_packages import PACKAGES

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess, dict]:
    folder = tmp_path_factory.mktemp("gpu")
    make_shards(folder / "shards", Plan({"train": 8}, depth=True))
    command = [sys.executable, "-m", "tools.gpu_check", "--shards", f"{folder}/shards/train-*.tar", "--small"]
    command += ["--json", str(folder / "out.json"), "--seconds", "0.2", "--workers", "1,2", "--budget", "900"]
    # torch.compile needs a C++ compiler and minutes.
    for part in parts_of(MODELS):
        command += [] if part.startswith("compile") else ["--part", part]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900)
    return result, json.loads((folder / "out.json").read_text())


@pytest.mark.slow
def test_every_part_has_figures(done) -> None:
    result, found = done
    assert result.returncode == 0, result.stdout + result.stderr
    assert found["machine"]["device"] == "CPU"
    for name, part in found["parts"].items():
        kind, _, model = name.partition(":")
        if kind == "model":
            assert part["model"]["name"] == model
            assert [feed["workers"] for feed in part["from_shards"]] == [1, 2]
            assert all(feed["samples_per_second"] > 0 and 0 <= feed["waiting"] < 1 for feed in part["from_shards"])
        elif kind == "tests":
            assert "skipped" in part["pytest"]  # there is no GPU
    assert {"model:VTN_HCPF", "model:VTN_HCPF_D", "tests", "resume:VTN_HCPF"} <= found["parts"].keys()


@pytest.mark.slow
def test_on_a_cpu_a_resume_gives_equal_weights(done) -> None:
    figures = done[1]["parts"]["resume:VTN_HCPF"]
    for run in ("again", "resumed"):
        assert figures[run] == {"weights_apart": 0.0, "losses_apart": 0.0}


@pytest.mark.slow
def test_a_part_that_fails_is_named_and_the_others_stay(tmp_path: Path) -> None:
    make_shards(tmp_path / "shards", Plan({"train": 4}))  # without depth
    command = [sys.executable, "-m", "tools.gpu_check", "--shards", f"{tmp_path}/shards/*.tar", "--small", "--part"]
    command += ["model:VTN_HCPF_D", "--part", "model:POSE", "--part", "tests", "--workers", "1", "--seconds", "0.1"]
    command += ["--json", str(tmp_path / "out.json")]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert result.returncode == 3
    assert "has no depth" in result.stdout
    parts = json.loads((tmp_path / "out.json").read_text())["parts"]
    assert "failed" in parts["model:VTN_HCPF_D"]
    assert parts["model:POSE"]["from_shards"][0]["samples_per_second"] > 0
    assert "skipped" in parts["tests"]["pytest"]  # there is no GPU


def test_the_table_says_how_many_workers_are_needed() -> None:
    feeds = [{"workers": 1, "samples_per_second": 50.0, "of_memory": 0.5, "waiting": 0.5}]
    model = {"from_memory": 100.0, "from_shards": feeds, "workers_needed": None, "peak_gib": 2.0}
    jpeg = {"samples_per_second": 60.0, "milliseconds_per_sample": 1.0}
    text = "\n".join(lines({"model:VTN_HCPF": model, "jpeg:VTN_HCPF": jpeg, "tests": {"failed": "no time was left"}}))
    assert "more than these" in text
    assert "wins against workers (50.0)" in text
    assert "tests: FAILED: no time was left" in text


def test_the_check_imports_only_what_is_collected() -> None:
    """The machine without a network has torch and `PACKAGES`, and none of the others that setup.cfg requires."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    required = re.findall(r"^([\w-]+)>=", config["options"]["install_requires"], re.MULTILINE)
    absent = set(required) - set(PACKAGES)
    modules = [module for module, packages in packages_distributions().items() if absent & set(packages)]
    assert "imageio_ffmpeg" in modules
    code = f"import sys; sys.modules.update(dict.fromkeys({modules!r})); import tools.gpu_check, train.cli"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120)


def test_nothing_is_left_of_packages_that_pip_did_not_find(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tools.gpu_packages", str(tmp_path / "out")]
    result = subprocess.run(command, cwd=ROOT, env={**os.environ, "PIP_NO_INDEX": "1"}, capture_output=True, text=True)
    assert result.returncode == 2
    assert "pip could not collect the packages" in result.stderr
    assert list(tmp_path.iterdir()) == []
