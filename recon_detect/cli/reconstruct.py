"""``recon-detect reconstruct``."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from recon_detect.cli import INTERRUPTED, SOME_FAILED
from recon_detect.cli.sources import sources_of
from recon_detect.detector import load_detector
from recon_detect.output import ReconstructionFolder


def run_reconstruct(
    paths: list[str], options: dict[str, Any], output: Path, *, legacy: bool, floats: bool, quiet: bool
) -> int:
    """Writes what is not there yet; returns the exit code."""
    from tqdm.auto import tqdm

    sources = sources_of(paths)
    folder = ReconstructionFolder.of(output, [source.id for source in sources], legacy=legacy, floats=floats)
    waiting = [source for source in sources if not folder.has(source.id)]
    done = len(sources) - len(waiting)
    if done and not quiet:
        print(f"{done} of {len(sources)} images are done already", file=sys.stderr)
    if not waiting:
        return 0
    detector = load_detector("dire", **options)
    failed = 0
    bar = tqdm(total=len(sources), initial=done, unit="image", disable=True if quiet else None)
    try:
        with bar, closing(detector.reconstruct(waiting)) as stream:
            for found in stream:
                if found.error:
                    failed += 1
                    print(f"{found.path}: {found.error}", file=sys.stderr)
                else:
                    folder.add(found)
                bar.update()
    except KeyboardInterrupt:
        print("recon-detect: interrupted; the same command goes on", file=sys.stderr)
        return INTERRUPTED
    return SOME_FAILED if failed else 0
