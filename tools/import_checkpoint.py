"""`python -m tools.import_checkpoint`, from a checkout: what `checkpoint import` does, which works in any folder."""

from train.convert.cli import import_command

if __name__ == "__main__":
    import_command()
