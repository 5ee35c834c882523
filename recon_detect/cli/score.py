"""``recon-detect score``."""

from __future__ import annotations

import json
import sys
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from recon_detect.calibration import GENERATED, drift, find_calibration
from recon_detect.cli import FOUND, INTERRUPTED, SOME_FAILED
from recon_detect.cli.sources import sources_of
from recon_detect.cli.tables import Tally, print_summary, print_table
from recon_detect.detector import load_detector
from recon_detect.errors import UsageError
from recon_detect.images import Source
from recon_detect.methods import find_method
from recon_detect.output import Journal, save_heatmap
from recon_detect.results import Row

# A table is for reading; beyond this the file or the pipe is.
_TABLE_ROWS = 200


def run_score(
    paths: list[str],
    options: dict[str, Any],
    *,
    output: Path | None,
    maps: Path | None,
    as_json: bool,
    quiet: bool,
    calibration: Path | None = None,
    fail_on: str | None = None,
) -> int:
    """Scores and writes; returns the exit code."""
    from tqdm.auto import tqdm

    if fail_on not in (None, "generated") or (fail_on and calibration is None):
        raise UsageError(f"--fail-on {fail_on}: expected 'generated', with a --calibration that says what that is")
    sources = sources_of(paths)
    first = options["method"] if isinstance(options["method"], str) else options["method"][0]
    known = (
        find_calibration(calibration, find_method(first, tuple(options["models"] or ())).name) if calibration else None
    )
    detector = load_detector(**options)
    if known:
        detector = detector.with_calibration(known)
    run = detector.run_info
    as_json = as_json or not sys.stdout.isatty()
    shown: list[Row] = []
    tally = Tally()
    # Published scores depend on the files before: an interrupted run of them starts over.
    resume = run.compat is None
    with Journal(output, run.to_dict(), resume=resume) if output else nullcontext() as journal:
        for entry in journal.rows() if journal else ():
            tally.add(entry)
        waiting: list[Source] = [s for s in sources if journal is None or s.id not in journal.done]
        if tally.images and not quiet:
            print(f"{tally.images} of {len(sources)} images are done already", file=sys.stderr)
        bar = tqdm(total=len(sources), initial=tally.images, unit="image", disable=True if quiet else None)
        try:
            with bar, closing(detector.stream(waiting, maps=maps is not None)) as stream:
                for row in stream:
                    entry = row.to_dict(run.fingerprint)
                    if maps:
                        save_heatmap(row, maps)
                    if journal:
                        journal.add(entry)
                    elif as_json:
                        print(json.dumps(entry, ensure_ascii=False), flush=True)
                    if len(shown) < _TABLE_ROWS:
                        shown.append(replace(row, map=None))
                    tally.add(entry)
                    bar.update()
        except KeyboardInterrupt:
            where = f"the same command goes on after {journal.path}" if journal else "with --output it could go on"
            print(f"recon-detect: interrupted; {where}", file=sys.stderr)
            return INTERRUPTED
        if journal:
            journal.finish()
    if not as_json:
        print_table(shown, run, more=tally.images - len(shown))
    if not quiet:
        print_summary(tally, run, output)
        for warning in found.warnings if known and (found := drift(known, tally.sample)) else ():
            print(f"recon-detect: warning: {warning}", file=sys.stderr)
    if fail_on and tally.verdicts[GENERATED]:
        return FOUND
    return SOME_FAILED if tally.failed else 0
