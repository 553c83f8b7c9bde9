import zipfile
from dataclasses import asdict

import pytest
import torch
from helpers.models.tiny_model import tiny_checkpoint

from shards.errors import InputError
from shards.format.recipe import REFERENCE
from train.fit.checkpoint import read_checkpoint


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "best.pt"
    yield path
    path.unlink(missing_ok=True)


def test_what_is_written_is_read(path):
    written = tiny_checkpoint(path, ["a", "b"], REFERENCE, "VTN_HCPF_D")
    found = read_checkpoint(path)
    assert {name: getattr(found, name) for name in vars(found) if name != "model"} == {
        name: getattr(written, name) for name in vars(written) if name != "model"
    }
    assert all(torch.equal(found.model[name], value) for name, value in written.model.items())
    model = found.build()
    assert not model.training
    assert model.recipe == REFERENCE


def test_any_flipped_bit_in_the_weights_is_noticed(path):
    tiny_checkpoint(path, ["a"])
    data = path.read_bytes()
    # torch itself reads most of these without a word.
    for place in range(1000, len(data) - 1000, len(data) // 7):
        path.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        with pytest.raises(InputError, match=r"best\.pt: damaged"):
            read_checkpoint(path)


def test_any_flipped_bit_in_the_directory_is_noticed(path):
    """Some make zipfile raise UnicodeDecodeError, RuntimeError (encrypted), or zlib's error."""
    torch.save({"weight": torch.zeros(3)}, path)
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        start = archive.start_dir
    # Every third bit: all bits of a byte, in turns. All of them took 11 s.
    for bit in range(8 * start, 8 * len(data), 3):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(InputError, match=r"best\.pt: "):
            read_checkpoint(path)


def test_settings_that_make_no_model_name_the_file(path):
    written = tiny_checkpoint(path, ["a"])
    content = torch.load(path, weights_only=True)
    torch.save({**content, "model_settings": asdict(written.model_settings) | {"num_heads": 3}}, path)
    with pytest.raises(InputError, match=r"best\.pt: embed size 16: width 32 is no multiple of 3 heads"):
        read_checkpoint(path)


HUGE = 10**12
ODD = {
    "model": [5, None, {"a": 1}, {}, {1: 2}],
    "recipe": [None, 5, [], {}, {"name": []}, {"name": "default", "quirks": torch.ones(2)}],
    "window": [
        None,
        {},
        {"length": 4},
        {"length": 4, "stride": 0},
        {"length": 5, "stride": 2},
        {"length": 4, "stride": 1.5},
    ],
    "image_size": [None, -1, 0, 32.0, "32", True, HUGE, torch.tensor(32)],
    "classes": ["ab", [1, 2], ["a"], {"a": 1}, 5],
    "training": [5, [1]],
    "model_settings": [None, [], {}, {"name": "other"}],
}
ODD_SETTINGS = {
    "num_classes": [1.5, 0, "2", True, HUGE, None, torch.ones(3, 3)],
    "sequence_length": [0, HUGE, 4.0, [4]],
    "num_layers": [HUGE, -1],
    "num_heads": [0, "2"],
    "embed_size": [HUGE, 2**40],
    "dropout": ["0", float("nan"), 1, torch.ones(2)],
    "name": [None, [], "VTN", "\x1b[2J"],
    "cnn": [[], "rn50", None],
}


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    path = tmp_path_factory.mktemp("odd") / "best.pt"
    tiny_checkpoint(path, ["a", "b"])
    yield torch.load(path, weights_only=True)
    path.unlink()


def refusal(content: dict, path) -> str:
    """The one line for a file with this content."""
    torch.save(content, path)
    try:  # what `pytest.raises` gives keeps the weights: 45 MB a call, 5 GB in all
        read_checkpoint(path).build(path)
    except InputError as error:
        assert error.message.startswith(f"{path}: ")
        assert error.message.isprintable()
        return error.message
    pytest.fail("it is taken")


@pytest.mark.parametrize("name", ODD)
def test_odd_values_are_one_line(content, path, name):
    for value in ODD[name]:
        refusal({**content, name: value}, path)
    if name in content:
        refusal({key: value for key, value in content.items() if key != name}, path)


@pytest.mark.parametrize("name", ODD_SETTINGS)
def test_odd_settings_are_one_line(content, path, name):
    """Some would ask for all memory there is, or build for ever."""
    for value in ODD_SETTINGS[name]:
        refusal({**content, "model_settings": content["model_settings"] | {name: value}}, path)
    refusal({**content, "model_settings": content["model_settings"] | {"more": 1}}, path)


def test_a_model_larger_than_memory_is_not_built(content, path):
    larger = {"num_layers": 20, "embed_size": 10_000}
    message = refusal({**content, "model_settings": content["model_settings"] | larger}, path)
    assert "its weights do not fit the model" in message


@pytest.mark.parametrize("value", [float("nan"), float("inf")], ids=["NaN", "infinite"])
def test_weights_that_are_not_finite_are_refused(content, path, value):
    model = {name: weight.clone() for name, weight in content["model"].items()}
    model["classifier.fc.weight"][1, 2] = value
    assert "classifier.fc.weight" in refusal({**content, "model": model}, path)


@pytest.mark.parametrize("change", [torch.Tensor.int, torch.Tensor.to_sparse, torch.Tensor.cfloat])
def test_weights_of_another_kind_are_refused(content, path, change):
    weight = change(content["model"]["classifier.fc.weight"])
    message = refusal({**content, "model": content["model"] | {"classifier.fc.weight": weight}}, path)
    assert "classifier.fc.weight" in message


@pytest.mark.parametrize("content", [[1], {"format": "other"}, {"format": "signshards-checkpoint-1"}])
def test_other_files_are_refused(path, content):
    torch.save(content, path)
    with pytest.raises(InputError, match=r"best\.pt: (not a checkpoint of signshards|a part is missing)"):
        read_checkpoint(path)


def test_weights_that_do_not_fit_name_the_file(path):
    tiny_checkpoint(path, ["a"])
    kept = read_checkpoint(path)
    del kept.model["bottle_mm.bias"]
    with pytest.raises(InputError, match=r"best\.pt: its weights do not fit the model \(1 missing: bottle_mm\.bias\)"):
        kept.build(path)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"absent/best\.pt: its folder does not exist"):
        tiny_checkpoint(tmp_path / "absent" / "best.pt", ["a"])


def test_a_full_disk_leaves_what_was_there(path, full_disk):
    tiny_checkpoint(path, ["a"])
    before = path.read_bytes()
    with (
        full_disk(1_000_000),
        pytest.raises(OSError, match=r"File too large: .*best\.pt") as error,
    ):
        tiny_checkpoint(path, ["a", "b"])
    assert "\n" not in str(error.value)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
