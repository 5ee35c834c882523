"""Images inside of Parquet files: as bytes or paths, as Hugging Face data sets and others have them."""

from __future__ import annotations

import json
import weakref
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, repeat
from threading import Lock
from typing import TYPE_CHECKING, Any

from recon_detect.errors import UnreadableImage, UsageError
from recon_detect.images.archives import Opener
from recon_detect.images.folders import LABELS, NUMBERS
from recon_detect.images.heard import printable
from recon_detect.images.manifests import LABEL_COLUMNS, PATH_COLUMNS

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

SUFFIX = ".parquet"
# Rows of bytes that are decoded at a time, and the rows and bytes behind that threads may still ask for.
_BATCH = 16
_RECENT_BATCHES, _RECENT_BYTES = 16, 256_000_000
# Of several columns of images, the one that counts.
_IMAGE = "image"
# Rows of names, which are small.
_NAMES = 1024
_BUFFER = 1 << 20


@dataclass(frozen=True, slots=True)
class ParquetImage:
    """One row of a Parquet file.

    Attributes:
        row: Its number.
        path: Path or name that the file gives the image; None where there is none.
        label: ``"real"`` or ``"generated"`` where the file says so.
        content: Reads the encoded image, at most so many bytes, or None where the row has no bytes; None where the file
            has paths alone.
    """

    row: int
    path: str | None
    label: str | None
    content: Callable[[int], bytes | None] | None


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns of a file that matter, as pyarrow selects them; None where there is none."""

    content: str | None
    path: str | None
    label: str | None


class _Cells:
    """Encoded images of a file by their row: read forward in small batches, the last of which are remembered.

    Threads ask for rows that are near to each other, so that hardly one is decoded twice; row groups that nobody asks
    for are not read.
    """

    def __init__(self, opener: Opener, column: str) -> None:
        import pyarrow.parquet as pq

        file = opener()
        weakref.finalize(self, file.close)
        self._file = pq.ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False)
        self._column = column
        groups = self._file.metadata
        self._starts = [0, *accumulate(groups.row_group(number).num_rows for number in range(groups.num_row_groups))]
        self._lock = Lock()
        self._batches: Iterator[Any] = iter(())
        self._next = self._end = 0
        self._damaged: dict[int, str] = {}
        self._recent: OrderedDict[int, pa.Array] = OrderedDict()

    def read(self, row: int, limit: int) -> bytes | None:
        """The bytes of a row, at most so many; None where it has none.

        Raises:
            ValueError: Its row group is damaged.
        """
        import pyarrow as pa

        with self._lock:
            try:
                while (value := self._decoded(row)) is None:
                    self._go_to(row)
                    self._decode()
            except (pa.ArrowException, OSError, StopIteration) as error:
                self._damaged[bisect_right(self._starts, row) - 1] = reason = str(error)
                self._next = self._end = 0
                raise ValueError(reason) from error
        return bytes(memoryview(value.as_buffer())[:limit]) if value.is_valid else None

    def _decoded(self, row: int) -> Any:
        start = next((start for start, values in self._recent.items() if start <= row < start + len(values)), None)
        return None if start is None else self._recent[start][row - start]

    def _go_to(self, row: int) -> None:
        """Begins the row group of a row, unless it is ahead in the one that is read."""
        group = bisect_right(self._starts, row) - 1
        if group in self._damaged:
            raise OSError(self._damaged[group])
        if not self._next <= row < self._end:
            self._next, self._end = self._starts[group], self._starts[group + 1]
            self._batches = self._file.iter_batches(_BATCH, row_groups=[group], columns=[self._column])

    def _decode(self) -> None:
        values = next(self._batches).column(0)
        self._recent[self._next] = values.field(0) if hasattr(values, "field") else values
        self._next += len(values)
        while len(self._recent) > 1 and (
            len(self._recent) > _RECENT_BATCHES or sum(part.nbytes for part in self._recent.values()) > _RECENT_BYTES
        ):
            self._recent.popitem(last=False)


def parquet_images(name: str, opener: Opener) -> Iterator[ParquetImage]:
    """Rows of a Parquet file, in order.

    Images are in a column of Hugging Face's ``{bytes, path}``, of bytes, or of paths; labels in one named as in
    manifests: words, numbers that a ``ClassLabel`` names, or 0 and 1 where both are there.

    Args:
        name: Name of the file, for messages.
        opener: Opens it.

    Raises:
        UsageError: No column has images or paths.
        UnreadableImage: It is damaged, or something else.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with opener() as file, pq.ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False) as table:
            columns = _columns(table.schema_arrow, name)
            labels = _labels(table, columns.label)
            cells = _Cells(opener, columns.content) if columns.content else None
            for row, (path, word) in enumerate(_names(table, columns)):
                label = labels.get(str(word).strip().lower())
                yield ParquetImage(row, path, label, partial(cells.read, row) if cells else None)
    except (pa.ArrowException, OSError) as error:
        reason = printable(str(error))
        raise UnreadableImage(f"expected a Parquet file; it is damaged or something else: {reason}") from error


def _names(table: pq.ParquetFile, columns: _Columns) -> Iterator[tuple[str | None, Any]]:
    """Path and label of each row; None where there is no such column or value."""
    selected = [column for column in (columns.path, columns.label) if column]
    if not selected:
        yield from repeat((None, None), table.metadata.num_rows)
        return
    for batch in table.iter_batches(_NAMES, columns=selected):
        for row in batch.to_pylist():
            path = row
            for part in (columns.path or "").split("."):
                path = path.get(part) if path else None
            yield path, row.get(columns.label)


def _labels(table: pq.ParquetFile, column: str | None) -> Mapping[str, str | None]:
    """Label of each value of a column."""
    if column is None:
        return {}
    try:
        about = json.loads((table.schema_arrow.metadata or {})[b"huggingface"])
        names = about["info"]["features"][column]["names"]
        return {str(number): LABELS.get(name.lower()) for number, name in enumerate(names)}
    except (LookupError, TypeError, ValueError, AttributeError):
        batches = table.iter_batches(_NAMES, columns=[column])
        values = {str(value) for batch in batches for value in batch.column(0).unique().to_pylist()}
        return LABELS | (NUMBERS if set(NUMBERS) <= values else {})


def _columns(schema: pa.Schema, name: str) -> _Columns:
    import pyarrow as pa

    by_name = {field.name.lower(): field for field in schema}
    label = next((label for key in LABEL_COLUMNS if (label := _flat(by_name.get(key)))), None)
    path = next((by_name[key].name for key in PATH_COLUMNS if key in by_name and _is_text(by_name[key].type)), None)
    content: dict[str, _Columns] = {}
    for field in schema:
        parts = {part.name: part.type for part in field.type} if pa.types.is_struct(field.type) else {}
        if _is_bytes(parts.get("bytes")):
            inner = f"{field.name}.path" if _is_text(parts.get("path")) else None
            content[field.name] = _Columns(f"{field.name}.bytes", inner, label)
    if not content:
        content = {field.name: _Columns(field.name, path, label) for field in schema if _is_bytes(field.type)}
    if len(content) == 1 or _IMAGE in content:
        return content[_IMAGE if _IMAGE in content else next(iter(content))]
    if not content and path:
        return _Columns(None, path, label)
    got = ", ".join(f"{field.name} ({field.type})" for field in schema)
    raise UsageError(
        f"{name}: expected one column of images as {{bytes, path}} or bytes, or of paths "
        f"({' or '.join(PATH_COLUMNS)}), or several of which one is named '{_IMAGE}'; got {got or 'no columns'}"
    )


def _is_bytes(kind: pa.DataType | None) -> bool:
    import pyarrow as pa

    return kind in (pa.binary(), pa.large_binary())


def _is_text(kind: pa.DataType | None) -> bool:
    """True for text, also as pandas stores categories, and for a column in which all is null."""
    import pyarrow as pa

    values = kind.value_type if isinstance(kind, pa.DictionaryType) else kind
    return values in (pa.string(), pa.large_string(), pa.null())


def _flat(field: pa.Field | None) -> str | None:
    """Name of a column of single values; None of lists, such as those of several labels."""
    import pyarrow as pa

    return None if field is None or pa.types.is_nested(field.type) else field.name
