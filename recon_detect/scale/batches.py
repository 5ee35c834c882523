"""Batches of encoded images, for data sets that another program reads: Ray Data, Spark, or a loop of one's own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol, Unpack

from recon_detect.detector import load_detector
from recon_detect.images import Source
from recon_detect.output.writers import table_of
from recon_detect.settings import DetectorOptions

if TYPE_CHECKING:
    import pyarrow as pa


class Columns(Protocol):
    """A batch by the names of its columns: a dict of arrays, or a data frame of pandas."""

    def __getitem__(self, name: str, /) -> Iterable[Any]: ...


class BatchScorer:
    """A detector that scores batches: for ``map_batches`` of Ray Data and ``mapInPandas`` of Spark.

    Args:
        image: Name of the column of encoded images: bytes, or ``{"bytes", "path"}`` as data sets of Hugging Face have.
        path: Name of the column that names the images in the result.
        **options: See `load_detector`.

    Raises:
        UsageError: See `load_detector`.
    """

    def __init__(self, image: str = "bytes", path: str = "path", **options: Unpack[DetectorOptions]) -> None:
        self._image = image
        self._path = path
        self._detector = load_detector(**options)

    def __call__(self, batch: Columns) -> pa.Table:
        """A row for each image of a batch, errors included, as in the Parquet files of ``recon-detect run``."""
        pairs = zip(batch[self._image], batch[self._path], strict=True)
        sources = [Source(b"" if image is None else image, str(name)) for image, name in pairs]
        return table_of(self._detector.stream(sources), self._detector.run_info)
