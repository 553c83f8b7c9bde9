import subprocess
import sys
from pathlib import Path

import pytest

_COMMANDS = ["list", "verify", "split", "reshard", "inspect"]


@pytest.mark.parametrize("command", _COMMANDS)
def test_every_command_has_help(run, command: str) -> None:
    assert command in run("--help").stdout
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "Options:" in result.stdout


def test_help_needs_no_heavy_import() -> None:
    code = "import sys, shards.cli; print(sorted({'numpy', 'pyarrow', 'joblib', 'PIL'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_console_script(tiny_work: Path) -> None:
    script = Path(sys.executable).parent / "shards"
    if not script.exists():
        pytest.skip(f"{script} is not here: the project is not installed")
    result = subprocess.run([script, "verify", tiny_work / "shards", "--jobs", "1"], capture_output=True, text=True)
    assert result.returncode == 0
    assert "all right: 3 shards, 6 samples" in result.stdout
    assert "Traceback" not in result.stderr


def test_verify_prints_a_line_per_fault_and_exits_with_3(run, shards: Path) -> None:
    (shards / "val-000.tar").unlink()
    with (shards / "train-000.tar").open("r+b") as file:
        file.truncate(10240)
    result = run("verify", shards)
    assert result.exit_code == 3
    lines = result.stdout.splitlines()
    assert lines[-1] == f"{shards}/val-000.tar: missing; copy it again"
    assert all(line.startswith(f"{shards}/train-000.tar: ") for line in lines[:-1])
    assert f"{len(lines)} faults in 3 shards" in result.stderr


def test_verify_says_how_far_it_looked(run, shards: Path) -> None:
    assert "contents not read" in run("verify", shards).stdout
    assert "contents not read" not in run("verify", "--full", "--jobs", 1, shards).stdout


@pytest.mark.parametrize(
    "arguments", [["verify", "/absent"], ["list", "/absent"], ["verify"], ["verify", "--jobs", "0"]]
)
def test_wrong_command_lines(run, arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Error: " in result.stderr
