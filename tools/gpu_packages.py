"""Everything that `tools.gpu_check` needs on a machine with CUDA, Python 3.12 and torch, but no network, in one folder.

`python -m tools.gpu_packages OUT`, here, needs a network. OUT then holds `site/` (packages, unpacked, for Python 3.12
on x86-64), `source/` (this project), `shards/` (of generated clips, unless --shards names others) and `run.sh`.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from shards.command_line import Command, ShardPattern
from shards.errors import InputError
from shards.format.shardset import files_of, open_shards
from tools.bench.data import prepare

# What training and the check import, and pytest; torch, and torchvision for decoding JPEGs, are the machine's own.
PACKAGES = (
    "click", "joblib", "numpy", "orjson", "pillow", "pyarrow", "pytest", "scipy", "simplejpeg", "tensorboard", "tqdm",
)  # fmt: skip
_ROOT = Path(__file__).parents[1]
_FOLDERS = ("pipeline", "shards", "train", "tools", "tests/helpers", "tests/train")
_FILES = ("setup.cfg", "pyproject.toml")
_RUN = """#!/bin/sh
# Checks training on this machine's GPU; figures go to $1.
here=$(cd "$(dirname "$0")" && pwd)
out=$(realpath "${1:-gpu.json}")
cd "$here/source" || exit 1
PYTHONPATH="$here/site" exec python3 -m tools.gpu_check --shards "$here/shards/train-*.tar" --json "$out"
"""


@click.command(cls=Command, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--shards", type=ShardPattern(), help="Shards to carry, a folder with a dataset.json.  [default: generated]"
)
def main(out: Path, shards: str | None) -> None:
    """Collect into the folder OUT, which is new, what the GPU check needs."""
    if out.exists():
        raise InputError(f"{out}: is there already; give a new folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as temporary:
        whole = Path(temporary) / "whole"
        _collect_packages(whole / "site")
        for folder in _FOLDERS:
            shutil.copytree(_ROOT / folder, whole / "source" / folder, ignore=shutil.ignore_patterns("__pycache__"))
        for name in _FILES:
            shutil.copyfile(_ROOT / name, whole / "source" / name)
        if shards is None:
            shards = str(prepare(Path(temporary) / "made", None, None, None).work / "shards")
        (whole / "shards").mkdir()
        for path in files_of(open_shards(shards)):
            shutil.copyfile(path, whole / "shards" / path.name)
        (whole / "run.sh").write_text(_RUN)
        whole.rename(out)
    for part in sorted(out.iterdir()):
        size = sum(path.stat().st_size for path in [part, *part.rglob("*")] if path.is_file())
        click.echo(f"{part}: {size / 1e6:.1f} MB")
    click.echo(f"carry {out} there, and run: sh {out.name}/run.sh gpu.json")


def _collect_packages(site: Path) -> None:
    platforms = ("manylinux2014_x86_64", "manylinux_2_27_x86_64", "manylinux_2_28_x86_64")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(site), "--only-binary=:all:"]
    command += ["--python-version", "3.12", "--implementation", "cp"]
    command += [word for name in platforms for word in ("--platform", name)]
    try:
        subprocess.run([*command, *PACKAGES], check=True)
    except subprocess.CalledProcessError as error:
        raise InputError(
            f"pip could not collect the packages (exit status {error.returncode}, reasons above)"
        ) from error


if __name__ == "__main__":
    main()
