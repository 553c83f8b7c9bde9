"""Parquet files that are damaged, of another version, or unfold to gigabytes."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shards import parquet
from shards.errors import InputError
from shards.parquet import read_parquet


def test_a_table_comes_back(tmp_path: Path) -> None:
    table = pa.table({"a": list(range(1000)), "b": ["x"] * 1000})
    pq.write_table(table, tmp_path / "a=b.parquet")
    assert read_parquet(tmp_path / "a=b.parquet").equals(table)
    assert read_parquet(tmp_path / "a=b.parquet", columns=["b"]).equals(table.select(["b"]))
    pq.write_table(table.slice(0, 0), tmp_path / "none.parquet")
    assert read_parquet(tmp_path / "none.parquet", table.schema).equals(table.slice(0, 0))


def test_another_schema_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="a int64"):
        read_parquet(tmp_path / "a.parquet", pa.schema([("a", pa.string())]))


def test_a_digit_changed_in_a_page_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": ['{"extent": 123456}']}), path, compression="none", write_page_checksum=True)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"123456", b"123457", 1))
    with pytest.raises(OSError, match="CRC"):
        read_parquet(path)


@pytest.mark.parametrize("value", [7, "x" * 10_000])
def test_what_unfolds_to_gigabytes_is_refused_before_it_does(tmp_path: Path, monkeypatch, value: object) -> None:
    monkeypatch.setattr(parquet, "_MOST_BYTES", 1 << 24)  # megabytes here
    path = tmp_path / "a.parquet"
    rows = 10_000 if isinstance(value, str) else 5_000_000
    pq.write_table(pa.table({"a": pa.repeat(pa.scalar(value), rows)}), path, compression="zstd")
    assert path.stat().st_size < 10**5
    with pytest.raises(InputError, match="unfolds to more than"):
        read_parquet(path)


def test_too_many_rows_are_refused_before_any_is_read(tmp_path: Path, monkeypatch) -> None:
    pq.write_table(pa.table({"a": [1] * 1000, "b": ["x"] * 1000}), tmp_path / "a.parquet")
    monkeypatch.setattr(parquet, "_MOST_BYTES", 7_900)
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", None)
    with pytest.raises(InputError, match="unfolds to more than"):
        read_parquet(tmp_path / "a.parquet")
