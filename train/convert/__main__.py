"""`python -m train.convert`."""

from train.convert.cli import main

if __name__ == "__main__":
    main(prog_name="python -m train.convert")
