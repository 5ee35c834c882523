"""Data sets of the field: lists them, names their sources, checks what is there, and writes its manifest.

    python -m benchmarks.datasets
    python -m benchmarks.datasets genimage
    python -m benchmarks.datasets genimage --root GenImage/ --output genimage/manifest.csv --images 500
    python -m benchmarks.datasets any/folder --output manifest.csv

Nothing is downloaded. The manifest has the columns that the benchmarks read; a folder with real and generated images
below it, or another manifest, does as well as a set by name.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.common.data import ManifestRow
from benchmarks.datasets import DATASETS, Dataset, check, how_to_get, rows_of, rows_of_any, sample, verify
from benchmarks.datasets.layout import write_manifest
from benchmarks.datasets.rows import GENERATED, REAL
from recon_detect.errors import ReconDetectError, UnknownName


def overview() -> str:
    """One line a set."""
    lines = []
    for row in DATASETS.values():
        counts = " + ".join(f"{n:,}" if (n := row.images(label)) is not None else "?" for label in (REAL, GENERATED))
        lines.append(f"{row.name:22} {counts:16} {row.licence or 'licence not found':36.36} {row.title}")
    return "\n".join(["name                   real + generated licence", *lines])


def report(dataset: Dataset, root: Path, split: str | None) -> str:
    """Reports the present files of a set, part by part."""
    lines = []
    for part, count, good in check(dataset, root, split):
        of = f" of {part.images:,}" if part.images is not None and split in (None, dataset.splits[0]) else ""
        lines.append(f"{'ok' if good else 'MISSING' if not count else 'OTHER':8}{count:,}{of} "
                     f"{part.generator or 'photographs'} ({part.folders[0]})")  # fmt: skip
    lines += [f"{'ok' if good else 'BROKEN':8}{name}: published checksum" for name, good in verify(dataset, root)]
    return "\n".join(lines)


def run(options: argparse.Namespace) -> int:
    if options.name is None:
        print(overview())
        return 0
    dataset = DATASETS.get(options.name)
    rows: list[ManifestRow]
    if dataset is None:
        if not Path(options.name).exists():
            raise UnknownName("data set, and no folder or manifest", options.name, DATASETS)
        rows = rows_of_any(Path(options.name))
    elif options.root is None:
        print(how_to_get(dataset), end="")
        return 0
    else:
        rows = rows_of(dataset, options.root, options.split)
        print(report(dataset, options.root, options.split))
    if options.output:
        written, broken = write_manifest(sample(rows, options.images), options.output)
        for path in broken:
            print(f"left out, unreadable: {path}", file=sys.stderr)
        print(f"{written} images written to {options.output}, {len(broken)} unreadable ones left out")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.datasets", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="?", help="of a set, or a folder or manifest")
    parser.add_argument("--root", type=Path, default=None, help="where the set lies")
    parser.add_argument("--split", default=None)
    parser.add_argument("--output", type=Path, default=None, help="the manifest.csv to write")
    parser.add_argument("--images", type=int, default=None, help="largest number of photographs, and of each generator")
    try:
        return run(parser.parse_args())
    except ReconDetectError as error:
        print(f"benchmarks.datasets: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
