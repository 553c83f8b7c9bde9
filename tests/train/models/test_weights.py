import builtins
import io
import os
import pickle
import random
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from helpers.processes.pipeline_runs import ROOT
from torch import nn

from shards.errors import InputError
from train.models.weights import load_state, load_untrusted


class Attack:
    """Unpickling it makes a folder."""

    def __init__(self, target: Path, function=os.mkdir):
        self.target = target
        self.function = function

    def __reduce__(self):
        return self.function, (str(self.target),)


class Thing:
    """A class that files may name."""


CONTENT = {
    "state_dict": OrderedDict(weight=torch.arange(12.0).reshape(3, 4), count=torch.tensor(7)),
    "hyper_parameters": {"cnn": "rn34", "dropout": 0.5, "gpus": None, "flags": [True, 2, (3, 4)]},
}


def message_of(path: Path, allowed=()) -> str:
    with pytest.raises(InputError) as refusal:
        load_untrusted(path, allowed)
    message = refusal.value.message
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    return message


@pytest.fixture(params=[True, False], ids=["zip", "legacy"])
def save(request, tmp_path):
    def write(content) -> Path:
        torch.save(content, tmp_path / "file.pt", _use_new_zipfile_serialization=request.param)
        return tmp_path / "file.pt"

    return write


def test_tensors_and_plain_values_come_back(save):
    loaded = load_untrusted(save(CONTENT))
    assert loaded["hyper_parameters"] == CONTENT["hyper_parameters"]
    assert torch.equal(loaded["state_dict"]["weight"], CONTENT["state_dict"]["weight"])
    assert loaded["state_dict"]["count"] == 7


def test_a_pickle_that_would_run_code_does_not(save, tmp_path):
    target = tmp_path / "made"
    path = save({"state_dict": {}, "x": Attack(target)})
    assert "refused, as it names posix.mkdir" in message_of(path)
    assert not target.exists()
    torch.load(path, weights_only=False)  # the attack works where nothing stops it
    assert target.exists()


def test_builtins_are_refused_by_name(save, tmp_path):
    assert "names eval, which could run code" in message_of(save([Attack(tmp_path, builtins.eval)]))


def test_another_global_is_refused_by_name_unless_it_is_allowed(save):
    path = save({Thing: 1})
    name = f"{Thing.__module__}.Thing"
    assert f"names {name}, which could run code" in message_of(path)

    class StandIn:
        pass

    assert load_untrusted(path, [(StandIn, name)]) == {StandIn: 1}
    # The permission ends with the call.
    assert name in message_of(path)


def test_a_name_in_the_file_cannot_write_to_the_terminal(tmp_path):
    path = tmp_path / "file.pt"
    data = pickle.PROTO + b"\x02" + pickle.GLOBAL + b"evil\x1b[2J\nname\n" + pickle.STOP
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("file/data.pkl", data)
        archive.writestr("file/version", "3\n")
    assert r"names evil\x1b[2J.name" in message_of(path)


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.99])
def test_a_truncated_file_is_named_as_damaged(save, kept):
    path = save(CONTENT)
    data = path.read_bytes()
    path.write_bytes(data[: kept if isinstance(kept, int) else int(len(data) * kept)])
    assert "damaged, or not a torch file" in message_of(path)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "labels.csv").write_text("id,class\na,1\n")
    assert "damaged, or not a torch file" in message_of(tmp_path / "labels.csv")
    assert "cannot be read (No such file or directory)" in message_of(tmp_path / "absent.pt")
    assert "cannot be read (Is a directory)" in message_of(tmp_path)


def test_random_damage_is_an_input_error_or_harmless(tmp_path):
    draw = random.Random(5)
    buffer = io.BytesIO()
    torch.save(CONTENT, buffer, _use_new_zipfile_serialization=False)
    path = tmp_path / "file.pt"
    refused = 0
    for _ in range(500):
        data = bytearray(buffer.getvalue())
        del data[draw.randrange(len(data)) + draw.choice([0, len(data)]) :]
        for _ in range(draw.randint(1, 8)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        path.write_bytes(data)
        try:
            load_untrusted(path)
        except InputError as error:
            assert error.message.isprintable()
            refused += 1
    assert refused > 300


def test_weights_that_fit_are_loaded():
    source, target = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    nn.init.normal_(source.weight)
    state = dict(source.state_dict())
    del state["num_batches_tracked"]  # as in files of torch before 0.4.1
    load_state(target, state, "file.pt")
    assert torch.equal(target.weight, source.weight)


def test_weights_that_do_not_fit_are_named():
    module = nn.Linear(3, 2)
    before = module.weight.clone()
    state = {"weight": torch.zeros(2, 4), "extra": torch.zeros(1)}
    with pytest.raises(InputError) as refusal:
        load_state(module, state, "file.pt")
    found = "(1 missing: bias; 1 unexpected: extra; 1 of another shape: weight)"
    assert refusal.value.message.startswith(f"file.pt: its weights do not fit the model {found}")
    with pytest.raises(InputError, match=r"7 unexpected: a0, a1, a2, a3, a4, …"):
        load_state(module, {**module.state_dict(), **{f"a{i}": torch.zeros(1) for i in range(7)}}, "file.pt")
    with pytest.raises(InputError, match="1 of another shape: bias"):
        load_state(module, {"weight": torch.zeros(2, 3), "bias": [0.0, 0.0]}, "file.pt")
    assert torch.equal(module.weight, before)


def test_weights_that_are_no_numbers_are_refused():
    layer = nn.Linear(2, 2)
    state = layer.state_dict() | {"bias": torch.tensor([1.0, float("nan")])}
    with pytest.raises(InputError, match=r"file\.pt: its weights bias are not all finite"):
        load_state(layer, state, "file.pt")


def test_too_little_memory_is_not_damage(tmp_path):
    """In a process of its own, which has 64 MiB more than torch needs, for a file of 256."""
    path = tmp_path / "large.pt"
    torch.save(torch.zeros(64 << 20), path)
    code = f"""
import resource
from pathlib import Path
from train.models.weights import load_untrusted
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20),) * 2)
load_untrusted(Path({str(path)!r}))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    path.unlink()
    assert f"{path}: needs more memory than there is" in done.stderr.splitlines()[-1]
