"""Tables as CSV on the Web: a CSV that begins with its header, and the conditions of its numbers in a file beside it.

The name of that file is the first default location of the W3C's model for tabular data
(https://www.w3.org/TR/tabular-data-model/#default-locations-and-site-wide-location-configuration).
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from recon_detect.atomic import replacing

METADATA_SUFFIX = "-metadata.json"


def metadata_path(table: Path) -> Path:
    """Path of the description of a CSV: ``NAME.csv-metadata.json``."""
    return table.with_name(table.name + METADATA_SUFFIX)


def write_table(path: Path, rows: Sequence[Mapping[str, Any]], conditions: str) -> None:
    """Writes a CSV and its description; each is whole or not there, and the description comes first.

    Args:
        path: The CSV.
        rows: Values by column; what a row lacks is empty.
        conditions: Under which the numbers hold, in words.
    """
    columns = dict.fromkeys(column for row in rows for column in row)
    metadata = {
        "@context": "http://www.w3.org/ns/csvw",
        "url": quote(os.fsencode(path.name)),
        "dc:description": conditions,
    }
    with replacing(path) as table, replacing(metadata_path(path)) as description:
        with table.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
        description.write_text(json.dumps(metadata, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
