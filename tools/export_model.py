"""`python -m tools.export_model`, from a checkout: what `checkpoint export` does, which works in any folder."""

from train.convert.cli import export_command

if __name__ == "__main__":
    export_command()
