"""The command line of the benchmarks."""

import json
import os
import platform
import tempfile
from pathlib import Path

import click

from tools.bench.data import BenchData, prepare
from tools.bench.timing import Table, as_json, pin, show

PARTS = ("loader", "stages", "reshard", "train")


@click.command(context_settings={"show_default": True, "help_option_names": ["-h", "--help"]})
@click.argument("parts", nargs=-1, type=click.Choice(PARTS))
@click.option("--data", type=click.Path(path_type=Path), help="AUTSL tree.  [default: clips generated here]")
@click.option("--labels", type=click.Path(path_type=Path), help="Its labels.")
@click.option("--keypoints", type=click.Path(path_type=Path), help="Its keypoints: folder or archive.")
@click.option("--repeats", type=click.IntRange(3), default=7, help="Rounds; figures are medians.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the figures there, too.")
def main(
    parts: tuple[str, ...],
    data: Path | None,
    labels: Path | None,
    keypoints: Path | None,
    repeats: int,
    json_file: Path | None,
) -> None:
    """Measure PARTS (all of them without any) against limits measured in the same run.

    Every figure is the median of several rounds in which limit and contenders take turns; single-core parts are pinned
    to one core. Read the ratios: times change with the machine and with what else runs on it.
    """
    with tempfile.TemporaryDirectory(prefix="signshards-bench-") as folder:
        prepared = prepare(Path(folder), data, labels, keypoints)
        pattern = str(prepared.work / "shards")
        lines: list[str] = []
        tables: list[Table] = []
        for part in parts or PARTS:
            tables += _run(part, prepared, pattern, repeats, lines)
        show(tables)
        click.echo("\n" + "\n".join(lines))
        if json_file:
            machine = {"processor": platform.processor() or platform.machine(), "python": platform.python_version()}
            json_file.write_text(json.dumps({"machine": machine, "tables": as_json(tables), "notes": lines}, indent=1))


def _run(part: str, data: BenchData, pattern: str, repeats: int, lines: list[str]) -> list[Table]:
    cores = os.sched_getaffinity(0)
    if part == "stages":
        from tools.bench.stages import disk_lines, parallel_tables, stage_tables, start_tables, whole_tables

        tables = whole_tables(data, max(3, repeats // 2)) + parallel_tables(data, repeats)
        pin()
        tables += stage_tables(data, repeats) + start_tables(repeats)
        lines += disk_lines(data)
    elif part == "loader":
        from shards.format.shardset import open_shards
        from tools.bench.loader import grown_tables, loader_tables
        from tools.bench.quality import quality_table

        pin()
        tables = loader_tables(open_shards(pattern), data, repeats) + grown_tables(pattern, repeats)
        tables.append(quality_table(data, repeats, lines))
    elif part == "reshard":
        from tools.bench.reshard import reshard_tables

        tables = reshard_tables(Path(pattern), repeats)
    else:
        from tools.bench.train import train_tables

        tables = train_tables(pattern, repeats)
    os.sched_setaffinity(0, cores)
    return tables


if __name__ == "__main__":
    main()
