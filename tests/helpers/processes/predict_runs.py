"""Running `predict` in this process, and reading what it writes."""

import csv
from pathlib import Path

from click.testing import CliRunner, Result

from train.predict.cli import main


def predict(*arguments: object) -> Result:
    """`predict` on the CPU, without loader processes; a traceback fails the test."""
    result = CliRunner().invoke(main, ["--device", "cpu", "--num-workers", "0", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def rows(path: Path) -> list[list[str]]:
    """Of a CSV."""
    with path.open(newline="") as file:
        return list(csv.reader(file))
