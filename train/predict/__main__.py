"""`python -m train.predict`."""

from train.predict.cli import main

if __name__ == "__main__":
    main(prog_name="python -m train.predict")
