"""What all five commands share: --version, -h, and `python -m`."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("module", ["pipeline", "shards", "train", "train.predict", "train.evaluate"])
def test_every_command_is_a_module_and_knows_its_version(module: str) -> None:
    def run(option: str) -> str:
        command = [sys.executable, "-m", module, option]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert version("signshards") in run("--version")
    assert run("-h").startswith(f"Usage: python -m {module} [OPTIONS]")
