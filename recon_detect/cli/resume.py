"""Results that are there already: complete ones are not scored again, and a run that was killed goes on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recon_detect.cli import advising
from recon_detect.errors import UsageError
from recon_detect.names import counted

if TYPE_CHECKING:
    from recon_detect.cli.score import Outputs
    from recon_detect.cli.sources import Sources
    from recon_detect.detector import Detector
    from recon_detect.output import Journal
    from recon_detect.results import Row


def complete_before(journal: Journal, sources: Sources, outputs: Outputs) -> dict[str, Any] | None:
    """The summary of the run that the output is complete of; None where there is something to score.

    Raises:
        UsageError: The output is of other images or settings.
    """
    from recon_detect.output.heatmap import heatmap_path

    if not outputs.overwrite and (before := journal.finished(sources)):
        outputs.hits.check_complete(journal.output)
        if not (outputs.retry_failed and before["failed"]):
            _check_maps(before, sources, outputs)
            return before
        if journal.output.suffix.lower() != ".jsonl":
            raise UsageError(f"{journal.output}: complete, and only .jsonl can be added to; score all with --overwrite")
        journal.reuse(lambda row: True)
    if outputs.retry_failed:
        journal.forget(journal.failed)
    if outputs.maps:  # a run may have been killed between a row and its map
        failed = set(journal.failed)
        journal.forget([
            name for name in journal.done if name not in failed and not heatmap_path(name, outputs.maps).exists()
        ])  # fmt: skip
    done = sum(not journal.lacks(source) for source in sources)
    if not outputs.quiet:
        for count, what in (
            (done, f"of {counted(len(sources), 'image')} are done already"),
            (journal.changed, "images are scored again: their files have changed, they failed, or have no map"),
            (journal.left_out, "rows are left out: their images are not among these"),
        ):
            if count:
                print(count, what, file=sys.stderr)
    return None


def _check_maps(before: dict[str, Any], sources: Sources, outputs: Outputs) -> None:
    """Checks that a complete output has its maps too.

    Raises:
        UsageError: Some are missing.
    """
    from recon_detect.output.heatmap import heatmap_path

    if outputs.maps:
        made = sum(heatmap_path(source.id, outputs.maps).exists() for source in sources)
        if missing := max(before["images"] - before["failed"] - made, 0):
            raise UsageError(f"{outputs.file}: complete, but {missing} maps are missing; score again with --overwrite")


@contextmanager
def resumed(output: Path, detector: Detector) -> Iterator[Journal]:
    """The journal, beside an output, of the scores it is fitted to; those of unchanged images are not made again."""
    from recon_detect.output import Journal

    scores = output.with_suffix(".scores.jsonl")
    with (
        Journal(scores, detector.run_info, limits=detector.settings.limits) as journal,
        advising(f"the same command resumes after {journal.path}"),
    ):
        journal.reuse(_unchanged_since(scores))
        yield journal


def _unchanged_since(scores: Path) -> Callable[[Row], bool]:
    """True where the image of a row is the file that it was when its scores were written."""
    from recon_detect.images.augment import COPY

    written = scores.stat().st_mtime if scores.exists() else 0.0

    def unchanged(row: Row) -> bool:
        original, copy, _ = row.path.rpartition(COPY)
        path = Path(original if copy else row.path)
        if not path.is_file() or row.provenance is None:
            return False
        now = path.stat()
        return max(now.st_mtime, now.st_ctime) <= written and bool(copy or now.st_size == row.provenance.file_bytes)

    return unchanged
