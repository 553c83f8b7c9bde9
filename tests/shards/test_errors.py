import subprocess
import sys

_RAISE = """
import click
from shards.errors import InputError
@click.command()
def main():
    raise InputError("a.csv: no")
main()
"""


def test_input_error_is_one_line_and_status_2() -> None:
    result = subprocess.run([sys.executable, "-c", _RAISE], capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (2, "", "Error: a.csv: no\n")
