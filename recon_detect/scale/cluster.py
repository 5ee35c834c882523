"""Shards on a cluster: Ray Data with a pool of actors, each with a detector (extra ``ray``)."""

from __future__ import annotations

import pickle
import time
from collections.abc import Generator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recon_detect.errors import DeviceError, OutputLocked, ReconDetectError, UsageError
from recon_detect.scale.shards import Shard, ShardResult, score_shard

if TYPE_CHECKING:
    from recon_detect.detector import Detector

# Seconds that a shard may be locked by an actor that is ending, or by another run.
_LOCKED, _AGAIN = 600.0, 1.0
# Tasks of Ray; beyond it a task has several shards.
_MOST_TASKS = 10_000
# Wrappers of Ray around an error of an actor.
_DEPTH = 8


class ShardScorer:
    """An actor of Ray: it loads a detector once and scores the shards that it is given.

    Args:
        recipe: A pickled detector.
        folder: Destination, on storage that all nodes share.
    """

    def __init__(self, recipe: bytes, folder: str) -> None:
        self._detector: Detector = pickle.loads(recipe)
        self._folder = Path(folder)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Counts of the shards of a batch, whose column ``shard`` has them pickled."""
        shards: list[Shard] = [pickle.loads(shard) for shard in batch["shard"]]
        results = [{"number": shard.number, **asdict(self._score(shard))} for shard in shards]
        return {name: [result[name] for result in results] for name in results[0]}

    def _score(self, shard: Shard) -> ShardResult:
        last = time.monotonic() + _LOCKED
        while True:
            try:
                return score_shard(shard.images, self._folder / shard.output, self._detector)
            except OutputLocked:
                if time.monotonic() > last:
                    raise
                time.sleep(_AGAIN)


def score_shards_on_ray(
    shards: Sequence[Shard], destination: Path, detector: Detector, workers: int, *, address: str, gpus: float = 0.0
) -> Generator[tuple[Shard, ShardResult], None, None]:
    """Scores shards by a cluster, as they are done. Actors and nodes that die are replaced, and their shards repeated.

    What a shard has is in its files, so that a shard that is repeated goes on where it was; between driver and actors
    travel names and counts alone.

    Args:
        shards: The shards.
        destination: The folder, on storage that all nodes share.
        detector: What scores them; each actor loads it again.
        workers: Actors.
        address: Address of the cluster; ``"auto"`` is that of this machine, and ``"local"`` starts one.
        gpus: GPUs of each actor; a part of one lets several share it.

    Raises:
        UsageError: Ray is not installed; or see `score_shard`.
        DeviceError: No cluster answers.
    """
    if not shards:
        return
    ray = _connected(address)
    by_number = {shard.number: shard for shard in shards}
    tasks = ray.data.from_items(
        [{"shard": pickle.dumps(shard)} for shard in shards], override_num_blocks=min(len(shards), _MOST_TASKS)
    )
    done = tasks.map_batches(
        ShardScorer,
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=workers),
        fn_constructor_args=(pickle.dumps(detector), str(destination.absolute())),
        num_cpus=1,
        num_gpus=gpus,
    )  # Ray Data restarts actors and repeats their tasks without end
    try:
        for row in done.iter_rows():
            yield by_number[row.pop("number")], ShardResult(**row)
    except ray.exceptions.RayError as error:
        raise _cause(error) from error


def _connected(address: str) -> Any:
    """The module of Ray, connected to a cluster."""
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise UsageError(f"--ray needs Ray ({error}); pip install 'recon-detect[ray]'") from error
    if not ray.is_initialized():
        try:
            ray.init(address=address, log_to_driver=False)
        except Exception as error:  # Ray raises anything, also plain exceptions
            raise DeviceError(f"no cluster of Ray answers at {address!r}: {error}") from error
    return ray


def _cause(error: BaseException) -> BaseException:
    """The error of the destination or of the package that Ray has wrapped; the error itself where there is none."""
    inner: BaseException | None = error
    for _ in range(_DEPTH):
        if inner is None or isinstance(inner, OSError | ReconDetectError):
            return inner or error
        inner = getattr(inner, "cause", None) or inner.__cause__
    return error
