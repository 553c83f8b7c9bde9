"""When a session ends, in this process; runs in processes of their own are in `test_resume.py`."""

import os
import signal

from click.testing import CliRunner
from helpers.processes.train_runs import tiny_arguments, tiny_options

from train.cli import main
from train.fit.checkpoint import Checkpoint, read_checkpoint


def test_a_second_signal_does_not_end_the_process_while_it_writes_its_last_checkpoint(small, tmp_path, monkeypatch):
    """Slurm sends SIGTERM again ahead of SIGKILL; outside of the session, one would end the process."""
    write, sent, outside = Checkpoint.write, [], []

    def signalled(checkpoint, path):
        sent.append(path.name)
        os.kill(os.getpid(), signal.SIGTERM)
        write(checkpoint, path)

    monkeypatch.setattr(Checkpoint, "write", signalled)
    more = tiny_options("--max-epochs 1 --accumulate-grad-batches 1 --num-workers 0 --freeze-layers 8")
    before = signal.signal(signal.SIGTERM, lambda *_: outside.append("a signal"))
    try:
        result = CliRunner().invoke(main, tiny_arguments(small, tmp_path / "run", *more, "--checkpoint-steps", 1))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert result.exit_code == 0, result.output
    assert "same command with --resume goes on from here" in result.output
    # The first step's checkpoint, and the one of stopping for the signal that came then.
    assert sent == ["last.pt", "last.pt"]
    assert outside == []
    assert read_checkpoint(tmp_path / "run" / "last.pt").training["progress"]["step"] == 2
    for path in (tmp_path / "run").glob("*.pt"):
        path.unlink()
