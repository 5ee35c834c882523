"""Data sets of the field: rows that describe them, and loaders from their layouts to manifests."""

from benchmarks.datasets.layout import check, how_to_get, rows_of, rows_of_any, sample, verify, write_manifest
from benchmarks.datasets.rows import DATASETS, Dataset, Part

__all__ = [
    "DATASETS",
    "Dataset",
    "Part",
    "check",
    "how_to_get",
    "rows_of",
    "rows_of_any",
    "sample",
    "verify",
    "write_manifest",
]
