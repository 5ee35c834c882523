"""``score`` by several processes that torchrun started: each scores a share, the first one writes the output."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from recon_detect.cli.sources import Sources
from recon_detect.engine.ranks import Rank
from recon_detect.errors import UsageError
from recon_detect.output import Journal, save_heatmap
from recon_detect.output.copies import Seen

if TYPE_CHECKING:
    from recon_detect.detector import Detector

# A process waits for the others as long as they score.
_PATIENCE = timedelta(days=30)


class Team:
    """The processes of one command; the one of rank 0 leads.

    Each scores every n-th of the lacking images into a journal of its own beside the output. The leader takes the rows
    over, those that a killed run left too, so that a run is resumed by any number of processes.

    Args:
        rank: Place of this process.
        output: File that the leader writes.
        maps: Folder of heat maps, which each process writes for its images.

    Raises:
        UsageError: No output to put the rows together in, or processes that cannot meet.
    """

    def __init__(self, rank: Rank, output: Path | None, maps: Path | None) -> None:
        if output is None:
            raise UsageError(f"{rank.count} processes put their rows together in a file: add --output FILE")
        if "MASTER_ADDR" not in os.environ:
            raise UsageError(
                f"{rank.count} processes, and no MASTER_ADDR where they meet: start 'score' with torchrun, or use "
                "'recon-detect run' under srun or mpirun"
            )
        self._rank, self._output, self._maps = rank, output, maps

    def __enter__(self) -> Self:
        from torch import distributed

        # What they exchange is small and on the CPU, whatever they score on.
        distributed.init_process_group("gloo", timeout=_PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        from torch import distributed

        distributed.destroy_process_group()

    @property
    def follows(self) -> bool:
        """True where another process leads."""
        return self._rank.number > 0

    def lead(self, detector: Detector, sources: Sources, journal: Journal) -> None:
        """Has all images scored that the journal lacks; it has all rows then."""
        self._take_over(journal, sources, detector)
        lacking = [index for index, source in enumerate(sources) if journal.lacks(source)]
        count = self._rank.count
        self._score(detector, sources, self._scatter([lacking[first::count] for first in range(count)]))
        self._take_over(journal, sources, detector)

    def dismiss(self) -> None:
        """Tells the others that there is nothing to do."""
        self._scatter([None] * self._rank.count)

    def follow(self, detector: Detector, sources: Sources) -> None:
        """Scores the share that the leader gives."""
        share = self._scatter(None)
        if share is not None:
            self._score(detector, sources, share)

    def _scatter(self, shares: Sequence[list[int] | None] | None) -> Any:
        """The share of this process, of those that the leader has."""
        from torch import distributed

        share: list[Any] = [None]
        distributed.scatter_object_list(share, list(shares) if shares else None)
        return share[0]

    def _score(self, detector: Detector, sources: Sources, share: Sequence[int]) -> None:
        """Scores a share into the journal of this process, and waits for the others."""
        from torch import distributed

        chosen = frozenset(share)
        images = (source for index, source in enumerate(sources) if index in chosen)
        part = self._output.with_name(f"{self._output.name}.rank{self._rank.number}.jsonl")
        progress = None if self._rank.number == 0 else False
        with (
            Journal(part, detector.run_info, limits=detector.settings.limits) as journal,
            closing(detector.run(images, journal, maps=self._maps is not None, progress=progress)) as rows,
        ):
            for row in rows:
                if self._maps:
                    save_heatmap(row, self._maps)
        distributed.barrier()

    def _take_over(self, journal: Journal, sources: Sources, detector: Detector) -> None:
        """Moves the rows of all parts into the journal; copies are noted over all images, not over a share."""
        pattern = f"{glob.escape(self._output.name)}.rank*.jsonl.partial"
        with ExitStack() as stack:
            parts = [
                stack.enter_context(Journal(path.with_suffix(""), detector.run_info, limits=detector.settings.limits))
                for path in sorted(self._output.parent.glob(pattern))
            ]
            seen = Seen()
            for source in sources:
                lacks = journal.lacks(source)
                holders = [part for part in parts if not part.lacks(source)] if lacks else [journal]
                for holder in holders[:1]:
                    row = holder.row(source.id)
                    noted = seen.noted(row)
                    if lacks or noted.notes != row.notes:
                        journal.add(noted)
        for part in parts:
            part.path.unlink(missing_ok=True)
