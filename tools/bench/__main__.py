"""The command line of the benchmarks."""

import importlib
import json
import os
import platform
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from shards.files import check_output, write_whole
from tools.bench.data import prepare
from tools.bench.timing import Table

PARTS = ("loader", "stages", "reshard", "train")


@click.command(context_settings={"show_default": True, "help_option_names": ["-h", "--help"]})
@click.argument("parts", nargs=-1, type=click.Choice(PARTS))
@click.option("--data", type=click.Path(path_type=Path), help="AUTSL tree.  [default: clips generated here]")
@click.option("--labels", type=click.Path(path_type=Path), help="Its labels.")
@click.option("--keypoints", type=click.Path(path_type=Path), help="Its keypoints: folder or archive.")
@click.option("--rounds", type=click.IntRange(1), default=3, help="How often each contender runs.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="File for every run; kept up to date.")
def main(
    parts: tuple[str, ...],
    data: Path | None,
    labels: Path | None,
    keypoints: Path | None,
    rounds: int,
    json_file: Path | None,
) -> None:
    """Measure PARTS (all of them without any) against limits measured in the same run.

    Every figure is the median of the rounds, in which limit and contenders take turns; what needs one core is kept on
    one. Read the ratios: times change with the machine and with what else runs on it. All parts together take some
    ten minutes on two cores; tables come as they are measured.
    """
    if json_file:
        check_output(json_file)
    tables: list[dict[str, Any]] = []
    notes: list[str] = []
    with tempfile.TemporaryDirectory(prefix="signshards-bench-") as folder:
        prepared = prepare(Path(folder), data, labels, keypoints)
        for part in parts or PARTS:
            # Of the parts, two need torch, which a cluster's node need not have.
            for result in importlib.import_module(f"tools.bench.{part}").tables(prepared, rounds):
                if isinstance(result, Table):
                    tables.append({"part": part, **asdict(result)})
                    click.echo(result.text())
                else:
                    notes.append(result)
                    click.echo(result)
                if json_file:
                    report = {"machine": _machine(), "rounds": rounds, "tables": tables, "notes": notes}
                    write_whole(json_file, (json.dumps(report, indent=1) + "\n").encode())


def _machine() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.machine()
    cores = len(os.sched_getaffinity(0))
    return {"processor": processor, "cores": cores, "system": platform.platform(), "python": platform.python_version()}


if __name__ == "__main__":
    main()
