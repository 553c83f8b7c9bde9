"""The `predict` command."""

from pathlib import Path

import click


@click.command(context_settings={"show_default": True, "help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--checkpoint", required=True, type=click.Path(path_type=Path), help="A run's best.pt or last.pt.")
@click.option("--shards", required=True, help="Shards: test-{000..009}.tar, a glob, or a folder.")
@click.option("--template", type=click.Path(path_type=Path), help="CSV whose first column gives ids and their order.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Predictions: CSV id,class, no header.")
@click.option("--save-logits", type=click.Path(path_type=Path), help="Also write ids, logits and class names as .npz.")
@click.option("--batch-size", type=click.IntRange(1), default=8)
@click.option("--num-workers", type=click.IntRange(0), default=2, help="Loader processes.")
@click.option("--device", help="As torch names it.  [default: cuda where there is one, else cpu]")
def main(
    checkpoint: Path,
    shards: str,
    template: Path | None,
    out: Path,
    save_logits: Path | None,
    batch_size: int,
    num_workers: int,
    device: str | None,
) -> None:
    """Predict the class of every sample of some shards."""
    from train.predict import predict_shards, write_logits, write_predictions

    prediction = predict_shards(checkpoint, shards, batch_size, num_workers, device)
    write_predictions(out, prediction, template)
    if save_logits:
        write_logits(save_logits, prediction)
    click.echo(f"{out}: {len(prediction.ids)} predictions")


if __name__ == "__main__":
    main()
