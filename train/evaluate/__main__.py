"""`python -m train.evaluate`."""

from train.evaluate.cli import main

if __name__ == "__main__":
    main(prog_name="python -m train.evaluate")
