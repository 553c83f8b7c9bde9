import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from shards.errors import InputError
from train.evaluate.logits import ModelRecord, read_logits, read_together

GOOD = {
    "ids": np.array(["b", "a", "c"]),
    "logits": np.arange(6, dtype=np.float32).reshape(3, 2),
    "classes": np.array(["yes", "no"]),
}


def write(path: Path, **changed) -> Path:
    np.savez(path, **{key: value for key, value in (GOOD | changed).items() if value is not None})
    return path


def refused(path: Path) -> str:
    with pytest.raises(InputError) as refusal:
        read_logits(path)
    assert refusal.value.message.startswith(f"{path}: ")
    assert len(refusal.value.message.splitlines()) == 1
    return refusal.value.message


def test_read(tmp_path):
    found = read_logits(write(tmp_path / "a.npz"))
    assert (found.ids, found.classes) == (["b", "a", "c"], ["yes", "no"])
    assert found.logits.tolist() == GOOD["logits"].tolist()


class Attack:
    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self):
        return Path.mkdir, (self.target,)


def test_nothing_is_unpickled(tmp_path):
    target = tmp_path / "made-by-the-file"
    path = write(tmp_path / "a.npz", ids=np.array([Attack(target)] * 3, dtype=object))
    assert "give a file that `predict --save-logits` wrote" in refused(path)
    (tmp_path / "b.npz").write_bytes(pickle.dumps(Attack(target)))
    refused(tmp_path / "b.npz")
    assert not target.exists()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"ids": None}, "ids"),
        ({"ids": np.array(["a", "a", "c"])}, "twice"),
        ({"ids": np.array([1, 2, 3])}, "must be text"),
        ({"ids": np.array(["a", "b"])}, "shape (3, 2) for ids of (2,)"),
        ({"classes": np.array(["yes"])}, "classes of (1,)"),
        # The case attack/npz-0d, which was a traceback.
        ({"ids": np.array("x"), "logits": np.zeros((1, 2))}, "for ids of ()"),
        ({"classes": np.array("x"), "logits": np.zeros((3, 1))}, "classes of ()"),
        ({"logits": np.array(1.0)}, "shape ()"),
        ({"ids": np.array([["a", "b", "c"]])}, "for ids of (1, 3)"),
        ({"logits": np.zeros((3, 2), int)}, "floating point"),
        ({"logits": np.array([[0, 1], [np.nan, 0], [1, 2.0]])}, "1 samples have logits that are not finite, e.g. a"),
        ({"ids": np.array([], str), "logits": np.zeros((0, 2))}, "for ids of (0,)"),
    ],
)
def test_wrong_content(tmp_path, changed, reason):
    assert reason in refused(write(tmp_path / "a.npz", **changed))


def test_damage(tmp_path):
    whole = write(tmp_path / "a.npz").read_bytes()
    for name, data in {"cut": whole[:300], "empty": b"", "text": b"a,1\n", "flipped": _flip(whole)}.items():
        path = tmp_path / f"{name}.npz"
        path.write_bytes(data)
        refused(path)
    refused(tmp_path / "absent.npz")
    np.save(tmp_path / "array.npy", np.zeros(3))
    refused(tmp_path / "array.npy")
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as archive:
        archive.writestr("ids.npy", b"not an array")
    refused(tmp_path / "other.npz")


def test_any_flipped_bit_in_a_header_or_the_directory_is_damage_or_unseen(tmp_path):
    """As many rows as a split has: of these, one header that numpy's parser fails on in ways of its own."""
    rows = 4000
    ids = np.array([f"signer{number % 43}_sample{number}" for number in range(rows)])
    path = write(tmp_path / "a.npz", ids=ids, logits=np.zeros((rows, 2), np.float32))
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        ends = [entry.header_offset + 200 for entry in archive.infolist()]
        places = [place for end in ends for place in range(end - 200, end)] + [*range(archive.start_dir, len(data))]
    noticed = 0
    for number, place in enumerate(places):
        flipped = bytearray(data)
        flipped[place] ^= 1 << number % 8
        path.write_bytes(flipped)
        try:
            read_logits(path)
        except InputError as error:
            assert error.message.startswith(f"{path}: ")
            noticed += 1
    assert noticed > len(places) / 2


def test_a_shape_that_does_not_fit_into_memory_is_damage(tmp_path):
    path = write(tmp_path / "a.npz")
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["logits.npy"] = parts["logits.npy"].replace(b"(3, 2), }" + b" " * 12, b"(3, 2000000000000), }")
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    refused(path)


def _flip(data: bytes) -> bytes:
    changed = bytearray(data)
    changed[data.index(b"NUMPY") + 140] ^= 255
    return bytes(changed)


def test_several_files_are_brought_to_one_order(tmp_path):
    first = write(tmp_path / "a.npz")
    second = write(tmp_path / "b.npz", ids=GOOD["ids"][::-1].copy(), logits=GOOD["logits"][::-1] * 10)
    parts = read_together([first, second])
    assert parts[1].ids == ["b", "a", "c"]
    assert parts[1].logits.tolist() == (GOOD["logits"] * 10).tolist()


def test_files_that_do_not_go_together(tmp_path):
    first = write(tmp_path / "a.npz")
    other = write(tmp_path / "b.npz", classes=np.array(["no", "yes"]))
    with pytest.raises(InputError, match="other classes"):
        read_together([first, other])
    other = write(tmp_path / "c.npz", ids=np.array(["b", "a", "d"]))
    with pytest.raises(InputError, match="2 ids are not in both"):
        read_together([first, other])


def test_models_are_read_and_are_not_needed(tmp_path):
    assert read_logits(write(tmp_path / "old.npz")).models == ()
    record = ModelRecord("run/best.pt", 0.5, {"model": "POSE"})
    assert read_logits(write(tmp_path / "new.npz", models=np.array([record.to_json()]))).models == (record,)


@pytest.mark.parametrize("models", [["{"], ["[]"], ["{}"], ['"a"'], ["[" * 100_000], [3], [["{}"]]])
def test_models_that_were_not_written_so_are_damage(tmp_path, models):
    assert "cannot be read" in refused(write(tmp_path / "l.npz", models=np.array(models)))
