"""Reading Parquet files that others may have made or a bad disk changed: checksums checked, size bounded."""

from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from shards.errors import InputError

# A file of kilobytes can unfold to any size. The index of AUTSL's 36,302 samples takes 7 MB.
_MOST_BYTES = 1 << 30
_ROWS_AT_A_TIME = 256


def read_parquet(
    path: Path, schema: pa.Schema | None = None, columns: Collection[str] | None = None, optional: int = 0
) -> pa.Table:
    """The rows of a Parquet file; those of `columns` where they are given.

    A file may lack the last `optional` columns of the schema, all together: they are null then.

    Raises:
        InputError: it has another schema than `schema`, or takes more memory than any of ours.
        OSError, ValueError, pyarrow.ArrowException: it is absent or damaged.
    """
    # Not `read_table`, to which a folder named `a=b` on the way is another column.
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        whole: list[pa.Field] = [] if schema is None else list(schema)
        always, others = whole[: len(whole) - optional], whole[len(whole) - optional :]
        lacks = bool(others) and file.schema_arrow.equals(pa.schema(always))
        if schema is not None and not lacks and not file.schema_arrow.equals(schema):
            raise InputError(f"{path}: not a file of this version (columns {_columns(file.schema_arrow)})")
        left = _MOST_BYTES - sum(file.metadata.row_group(one).total_byte_size for one in range(file.num_row_groups))
        if file.metadata.num_rows * _least_row(file.schema_arrow, columns) > _MOST_BYTES:
            left = -1  # seen before a minute of unfolding
        batches = []
        for batch in file.iter_batches(_ROWS_AT_A_TIME, columns=columns) if left >= 0 else ():
            left -= batch.nbytes
            if left < 0:
                break
            batches.append(batch)
        if left < 0:
            raise InputError(f"{path}: unfolds to more than {_MOST_BYTES / 1e9:.0f} GB, which none of ours does")
        table = pa.Table.from_batches(batches, None if batches else file.schema_arrow)
    for column in others if lacks else ():
        table = table.append_column(column, pa.nulls(len(table), column.type))
    return table


def _least_row(schema: pa.Schema, columns: Collection[str] | None) -> int:
    """Bytes that a row takes in memory at least: those of its numbers."""
    kinds = [field.type for field in schema if columns is None or field.name in columns]
    return sum(kind.bit_width // 8 for kind in kinds if pa.types.is_primitive(kind))


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in zip(schema.names, schema.types, strict=True))
