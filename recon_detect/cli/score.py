"""``recon-detect score``."""

from __future__ import annotations

import json
import sys
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

from recon_detect.cli.tables import print_summary, print_table
from recon_detect.detector import load_detector
from recon_detect.errors import UsageError
from recon_detect.images import Source, find_sources
from recon_detect.output import Journal, save_heatmap
from recon_detect.results import Row

_SOME_FAILED = 3
# A table is for reading; beyond this the file or the pipe is.
_TABLE_ROWS = 200


def run_score(
    paths: list[str], options: dict[str, Any], *, output: Path | None, maps: Path | None, as_json: bool, quiet: bool
) -> int:
    """Scores and writes; returns the exit code."""
    from tqdm.auto import tqdm

    # A path that is named twice is scored once: results on disk are looked up by path when a run goes on.
    sources = list({source.id: source for source in find_sources(paths)}.values())
    if not sources:
        raise UsageError(f"no images in {', '.join(paths)}")
    detector = load_detector(**options)
    run = detector.run_info
    as_json = as_json or not sys.stdout.isatty()
    rows: list[Row] = []
    failed = 0
    with Journal(output, run.to_dict()) if output else nullcontext() as journal:
        waiting: list[Source] = [s for s in sources if journal is None or s.id not in journal.done]
        if journal and len(waiting) < len(sources) and not quiet:
            print(f"{len(sources) - len(waiting)} of {len(sources)} images are done already", file=sys.stderr)
        hidden = True if quiet else None
        bar = tqdm(total=len(sources), initial=len(sources) - len(waiting), unit="image", disable=hidden)
        with bar, closing(detector.stream(waiting, maps=maps is not None)) as stream:
            for row in stream:
                if maps:
                    save_heatmap(row, maps)
                if journal:
                    journal.add(row.to_dict(run.fingerprint))
                elif as_json:
                    print(json.dumps(row.to_dict(run.fingerprint), ensure_ascii=False), flush=True)
                failed += row.error is not None
                # Maps are on disk by now; a table needs few rows, a summary needs numbers only.
                rows.append(_light(row))
                bar.update()
        if journal:
            journal.finish()
    if not as_json:
        print_table(rows[:_TABLE_ROWS], run)
        if len(rows) > _TABLE_ROWS:
            print(f"... and {len(rows) - _TABLE_ROWS} more; use --output FILE to keep them")
    if not quiet:
        print_summary(rows, run, output)
    return _SOME_FAILED if failed else 0


def _light(row: Row) -> Row:
    return Row(row.index, row.path, row.score, row.per_model, row.label, row.provenance, row.error, row.notes)
