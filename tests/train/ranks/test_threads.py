import os

import pytest
from click.testing import CliRunner

from train.cli import main
from train.ranks.threads import wait_passively


@pytest.mark.parametrize(("given", "expected"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_sleep_while_they_wait_unless_the_user_wants_otherwise(monkeypatch, given, expected):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if given:
        monkeypatch.setenv("OMP_WAIT_POLICY", given)
    wait_passively()
    assert os.environ["OMP_WAIT_POLICY"] == expected


def test_train_waits_passively(monkeypatch, tmp_path):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    result = CliRunner().invoke(main, ["--shards", str(tmp_path / "absent.tar"), "--run-dir", str(tmp_path / "run")])
    assert result.exit_code == 2
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
