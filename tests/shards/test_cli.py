import subprocess
import sys
from pathlib import Path

import pytest

_COMMANDS = ["list", "verify", "split", "reshard", "inspect", "fetch"]


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


def _arguments(command: str, shards: Path, out: object) -> list[object]:
    given = {
        "inspect": [shards, "--samples", 1],
        "split": ["--shards", shards, "--by", "signer"],
        "reshard": ["--shards", shards],
    }
    return [command, *given[command], "--out", out]


@pytest.mark.parametrize(
    ("command", "out", "said"),
    [
        ("inspect", "absent/x.html", "absent/x.html: its folder does not exist"),
        ("inspect", ".", "is a directory"),
        ("split", "absent/x.csv", "absent/x.csv: its folder does not exist"),
        ("split", ".", "is a directory"),
        ("reshard", "file", "is a file"),
        ("reshard", "file/below", "file/below: cannot be read or written (Not a directory)"),
    ],
)
def test_outputs_that_cannot_be(run, tiny_work: Path, tmp_path: Path, command: str, out: str, said: str) -> None:
    (tmp_path / "file").write_text("mine")
    result = run(*_arguments(command, tiny_work / "shards", f"{tmp_path}/{out}"))
    assert result.exit_code == 2
    assert said in result.stderr.splitlines()[-1]
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "mine")]


@pytest.mark.parametrize("command", ["inspect", "split", "reshard"])
def test_a_full_disk_is_one_line(tiny_work: Path, tmp_path: Path, command: str) -> None:
    arguments = [str(word) for word in _arguments(command, tiny_work / "shards", tmp_path / "out")]
    done = subprocess.run(
        ["prlimit", "--fsize=20", sys.executable, "-m", "shards.cli", *arguments], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    said = done.stderr.splitlines()[-1]
    assert said.startswith(f"Error: {tmp_path}/out")
    assert "File too large" in said
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.name != ".lock"]
