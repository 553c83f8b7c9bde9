import hashlib

from shards.format.planning import plan_split, shard_order


def test_order_is_that_of_the_hash_whatever_the_input_order() -> None:
    ids = [f"signer{n % 3}_sample{n}" for n in range(100)]
    plan = plan_split("train", ids, str, 30)
    assert plan == plan_split("train", reversed(ids), str, 30)
    expected = sorted(ids, key=lambda key: hashlib.sha256(key.encode()).hexdigest())
    assert [key for piece in plan.values() for key in piece] == expected
    assert [len(piece) for piece in plan.values()] == [30, 30, 30, 10]
    assert list(plan) == ["train-000.tar", "train-001.tar", "train-002.tar", "train-003.tar"]


def test_pipeline_orders_samples_so(tiny_work, split_of) -> None:
    from shards.format.index import read_index

    for split in ("train", "val"):
        ids = read_index(tiny_work / "shards" / f"{split}.parquet")["id"].to_pylist()
        assert ids == sorted(ids, key=shard_order)


def test_names_of_over_a_thousand_shards_sort_as_the_shards_do() -> None:
    names = list(plan_split("train", map(str, range(1001)), str, 1))
    assert (names[0], names[-1]) == ("train-0000.tar", "train-1000.tar")
    assert names == sorted(names)
    assert len(set(map(len, plan_split("train", map(str, range(1000)), str, 1)))) == 1


def test_no_items_no_shards() -> None:
    assert plan_split("train", [], str, 10) == {}
