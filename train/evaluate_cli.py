"""The `evaluate` command."""

from pathlib import Path

import click


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--predictions", required=True, type=click.Path(path_type=Path), help="CSV id,class, as `predict` writes it."
)
@click.option("--labels", required=True, type=click.Path(path_type=Path), help="CSV id,class: the truth.")
def main(predictions: Path, labels: Path) -> None:
    """Compare predictions with labels: accuracy over all samples, and the mean over classes."""
    from train.evaluate import evaluate_predictions

    result = evaluate_predictions(predictions, labels)
    click.echo(f"accuracy {result.top1:.4f} ({result.hits} of {result.count})")
    click.echo(f"per-class mean {result.class_mean:.4f}")


if __name__ == "__main__":
    main()
