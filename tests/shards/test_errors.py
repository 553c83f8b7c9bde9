import subprocess
import sys

import pytest

from shards.errors import escaped

_RAISE = """
import click
from shards.errors import InputError, OneLineError
@click.command()
@click.argument("kind")
def main(kind):
    raise {"input": InputError, "other": OneLineError}[kind]("a\\x1b.csv: no")
main()
"""


@pytest.mark.parametrize(("kind", "status"), [("input", 2), ("other", 1)])
def test_an_expected_error_is_one_safe_line(kind: str, status: int) -> None:
    result = subprocess.run([sys.executable, "-c", _RAISE, kind], capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (status, "", "Error: a\\x1b.csv: no\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("sister é 日本語 🤟", "sister é 日本語 🤟"),
        ("\x1b[31m\r\n\t\x7f", r"\x1b[31m\r\n\t\x7f"),
        ("\x9b2K", r"\x9b2K"),  # an escape sequence in one character
        ("\u202egpj", r"\u202egpj"),  # turns the direction of what follows
        ("\udcff", r"\udcff"),
    ],
)
def test_escaped(text: str, expected: str) -> None:
    assert escaped(text) == expected
