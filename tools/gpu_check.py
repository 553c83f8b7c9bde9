"""One check of everything that only a GPU can show: `python -m tools.gpu_check --shards PATTERN --json FILE`.

Tests on CUDA; samples per second fed from shards against the same step fed from memory; --compile; JPEGs decoded on the
GPU; two epochs against one and a resume. Every part runs in a process of its own, within the time that is left, so that
one that fails does not take the others along. `tools/gpu_packages.py` collects what a machine without a network needs.
"""

import csv
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import torch

from shards.command_line import Command, ShardPattern
from shards.files import write_whole
from tools.bench.gpu import CheckSettings, compile_figures, jpeg_figures, model_figures, train_options
from train.fit.checkpoint import read_checkpoint
from train.models.defaults import DEFAULTS

ROOT = Path(__file__).parents[1]
MODELS = ("VTN_HCPF", "VTN_HCPF_D", "POSE")
_FAILED = 3  # exit status, of parts
_SHOWN = 600  # characters of what a failed part said


def parts_of(models: Sequence[str]) -> list[str]:
    """The parts, what matters most first: time may run out."""
    crops = [model for model in models if model.startswith("VTN")][:1]
    return [
        *(f"model:{model}" for model in models),
        "tests",
        *(f"resume:{model}" for model in crops),
        *(f"jpeg:{model}" for model in crops),
        *(f"compile:{model}" for model in models),
    ]


@click.command(cls=Command, context_settings={"show_default": True, "help_option_names": ["-h", "--help"]})
@click.option("--shards", required=True, type=ShardPattern(), help="Training shards, with depth for VTN_HCPF_D.")
@click.option("--json", "json_file", required=True, type=click.Path(path_type=Path), help="Where the figures go.")
@click.option("--budget", type=click.FloatRange(1), default=330.0, help="Seconds for everything.")
@click.option("--seconds", type=click.FloatRange(0.01), default=4.0, help="Of each measurement.")
@click.option("--workers", default="1,2,4,8", help="Numbers of loader processes.")
@click.option("--small", is_flag=True, help="Smallest models instead of the published sizes: for a CPU.")
@click.option("--part", "only", multiple=True, help="Only these parts, such as model:VTN_HCPF, tests, jpeg:VTN_HCPF.")
@click.option("--one", hidden=True, help="Run this part in this process.")
def main(
    shards: str,
    json_file: Path,
    budget: float,
    seconds: float,
    workers: str,
    small: bool,
    only: tuple[str, ...],
    one: str | None,
) -> None:
    """Check training on this machine's GPU, or CPU where it has none, and print a table.

    Exit status 3 where a part failed or found no time; the others' figures are written all the same.
    """
    check = CheckSettings(shards, seconds, tuple(int(number) for number in workers.split(",")), small)
    if one:
        write_whole(json_file, json.dumps(run_part(one, check)).encode())
        return
    end, results = time.monotonic() + budget, {}
    for part in only or parts_of(MODELS):
        results[part] = _in_a_process(part, end - time.monotonic())
        click.echo(f"{part}: {results[part].get('failed') or 'done'}", err=True)
        write_whole(json_file, json.dumps({"machine": machine(), "parts": results}, indent=1).encode())
    for line in lines(results):
        click.echo(line)
    sys.exit(_FAILED if any("failed" in result for result in results.values()) else 0)


def machine() -> dict[str, Any]:
    """What the figures are of."""
    return {
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
        "processor": platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _in_a_process(part: str, left: float) -> dict[str, Any]:
    """A part's figures, or why there are none."""
    if left <= 0:
        return {"failed": "no time was left"}
    with tempfile.TemporaryDirectory(prefix="signshards-gpu-") as folder:
        out = Path(folder) / "part.json"
        # The last --json counts.
        command = [sys.executable, "-m", "tools.gpu_check", *sys.argv[1:], "--one", part, "--json", str(out)]
        begun = time.monotonic()
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=left)
        except subprocess.TimeoutExpired:
            return {"failed": f"not done in the {left:.0f} s that were left"}
        if done.returncode:
            return {"failed": f"exit status {done.returncode}: {done.stderr.strip()[-_SHOWN:]}"}
        return json.loads(out.read_text()) | {"seconds": time.monotonic() - begun}


def run_part(part: str, check: CheckSettings) -> dict[str, Any]:
    """The figures of one part.

    Raises:
        CalledProcessError: tests or a training failed.
    """
    kind, _, model = part.partition(":")
    if kind == "tests":
        return _tests()
    figures = {"model": model_figures, "compile": compile_figures, "jpeg": jpeg_figures, "resume": resume_figures}
    return figures[kind](model, check)


def _tests() -> dict[str, Any]:
    """What pytest counts in the tests on CUDA."""
    # Without the conftest.py of all tests, which needs what makes videos.
    options = ["-p", "no:cacheprovider", "--confcutdir", "tests/train"]
    done = _run("-m", "pytest", *options, "tests/train/fit/test_cuda.py", folder=ROOT)
    return {"pytest": done.strip().splitlines()[-1]}


def resume_figures(model: str, check: CheckSettings) -> dict[str, Any]:
    """Two epochs against one and a resume, and against two again: how far weights and losses are apart.

    On a CPU they are equal; on a GPU what two like runs differ by is what a resume may.
    """
    runs = {"whole": (2,), "again": (2,), "resumed": (1, 2)}
    with tempfile.TemporaryDirectory(prefix="signshards-gpu-") as name:
        folder = Path(name)
        for run, epochs in runs.items():
            for number, count in enumerate(epochs):
                options = ["--shards", check.shards, "--run-dir", str(folder / run), "--max-epochs", str(count)]
                options += [*train_options(model, check.small), *(["--resume"] if number else [])]
                options += ["--cnn-weights", "none"] if "cnn_weights" in DEFAULTS[model] else []
                _run("-m", "train.cli", *options, folder=Path.cwd())
        first = _weights(folder / "whole"), _losses(folder / "whole")
        found = {}
        for run in ("again", "resumed"):
            weights, losses = _weights(folder / run), _losses(folder / run)
            apart = max((weights[key] - value).abs().max().item() for key, value in first[0].items())
            losses_apart = max(abs(one - other) for one, other in zip(first[1], losses, strict=True))
            found[run] = {"weights_apart": apart, "losses_apart": losses_apart}
    return found


def _weights(run: Path) -> dict[str, torch.Tensor]:
    model = read_checkpoint(run / "last.pt").model
    return {name: value.double() for name, value in model.items() if value.is_floating_point()}


def _losses(run: Path) -> list[float]:
    with (run / "metrics.csv").open(newline="") as file:
        return [float(row["train_loss"]) for row in csv.DictReader(file)]


def _run(*arguments: str, folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def lines(results: dict[str, dict[str, Any]]) -> list[str]:
    """The figures as a table."""
    found = [f"{'':<12}{'fed by':<12}{'samples/s':>10}{'of memory':>10}{'waiting':>9}{'peak GiB':>9}"]
    for part, result in results.items():
        kind, _, model = part.partition(":")
        if "failed" in result:
            found.append(f"{part}: FAILED: {result['failed']}")
        elif kind == "model":
            peak = result["peak_gib"] or 0
            found.append(f"{model:<12}{'memory':<12}{result['from_memory']:>10.1f}{'':>19}{peak:>9.1f}")
            found += [
                f"{model:<12}{feed['workers']:<12}{feed['samples_per_second']:>10.1f}{feed['of_memory']:>10.3f}"
                f"{feed['waiting']:>9.1%}"
                for feed in result["from_shards"]
            ]
            found.append(f"{model:<12}workers needed for 0.98: {result['workers_needed'] or 'more than these'}")
        elif kind == "compile":
            rate, plain = result["from_memory"], results.get(f"model:{model}", {}).get("from_memory")
            against = f", {rate / plain:.2f} times as fast as without" if plain else ""
            compiling = f"compiling took {result['seconds_to_compile']:.0f} s"
            found.append(f"{model:<12}{'--compile':<12}{rate:>10.1f}  {compiling}{against}")
        elif kind == "jpeg":
            found.append(_jpeg_line(model, result, results.get(f"model:{model}", {})))
        elif kind == "resume":
            apart = "; ".join(
                f"{run}: {figures['weights_apart']:.3g}" for run, figures in result.items() if run != "seconds"
            )
            found.append(f"{model:<12}largest difference of a weight after two epochs: {apart}")
        else:
            found.append(f"{part}: {result['pytest']}")
    return found


def _jpeg_line(model: str, result: dict[str, Any], fed: dict[str, Any]) -> str:
    best = max((feed["samples_per_second"] for feed in fed.get("from_shards", [])), default=None)
    rate, each = result["samples_per_second"], result["milliseconds_per_sample"]
    verdict = "" if best is None else f": {'wins' if rate > best else 'does not win'} against workers ({best:.1f})"
    return f"{model:<12}{'GPU JPEGs':<12}{rate:>10.1f}  {each:.2f} ms a sample for color{verdict}"


if __name__ == "__main__":
    main()
