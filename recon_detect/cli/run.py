"""``recon-detect run`` and ``recon-detect status``."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Generator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from recon_detect.cli import SOME_FAILED, advising, hush
from recon_detect.cli.arguments import (
    AsJson,
    BatchSize,
    CalibrationFile,
    Device,
    Distance,
    Dtype,
    Effort,
    InversionSteps,
    MaxPixels,
    Methods,
    Models,
    Paths,
    Quiet,
    RealStep,
    split,
)
from recon_detect.cli.loading import load
from recon_detect.cli.score import Classifier, Compile, ExifOrientation, MiddleSquare
from recon_detect.errors import UsageError
from recon_detect.methods import DEFAULT_METHOD
from recon_detect.settings import DEFAULTS, DetectorOptions, Inversion

if TYPE_CHECKING:
    from recon_detect.detector import Detector
    from recon_detect.engine.ranks import Rank
    from recon_detect.scale.destination import Destination, Status
    from recon_detect.scale.shards import Shard, ShardResult

Folder: TypeAlias = Annotated[Path, typer.Argument(help="Folder of the results, one Parquet file for each shard.")]
Processes: TypeAlias = Annotated[
    int,
    typer.Option(min=1, help="Processes, each with the models, and with a GPU of its own where there are several."),
]
Ray: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--ray", help="Score on a cluster of Ray: its address, 'auto' for that of this machine, 'local' to start one."
    ),
]
Gpus: TypeAlias = Annotated[float, typer.Option(min=0, help="GPUs of each worker on a cluster, or the part of one.")]
ImagesPerShard: TypeAlias = Annotated[int, typer.Option(min=1, help="Single images that become one shard.")]


@dataclass(frozen=True, slots=True)
class Runner:
    """Processes that score: on this machine, or on a cluster at an address."""

    workers: int
    ray: str | None
    gpus: float

    def results(
        self, shards: list[Shard], folder: Path, detector: Detector
    ) -> Generator[tuple[Shard, ShardResult], None, None]:
        """Scores shards; gives them as they are done."""
        from recon_detect.scale.local import score_shards

        if self.ray is None:
            return score_shards(shards, folder, detector, self.workers)
        from recon_detect.scale.cluster import score_shards_on_ray

        return score_shards_on_ray(shards, folder, detector, self.workers, address=self.ray, gpus=self.gpus)


def run(
    paths: Paths,
    destination: Folder,
    method: Methods = None,
    models: Models = None,
    distance: Distance = None,
    workers: Processes = 1,
    images_per_shard: ImagesPerShard = 1000,
    ray: Ray = None,
    gpus_per_worker: Gpus = 0.0,
    device: Device = DEFAULTS.device,
    dtype: Dtype = DEFAULTS.dtype,
    effort: Effort = str(DEFAULTS.effort),
    inversion_steps: InversionSteps = DEFAULTS.inversion.steps,
    real_step: RealStep = DEFAULTS.inversion.real_step,
    batch_size: BatchSize = DEFAULTS.batch_size,
    max_pixels: MaxPixels = DEFAULTS.max_pixels,
    exif_orientation: ExifOrientation = DEFAULTS.exif_orientation,
    classifier: Classifier = DEFAULTS.classifier,
    middle_square: MiddleSquare = DEFAULTS.middle_square,
    calibration: CalibrationFile = None,
    compile: Compile = DEFAULTS.compile,
    quiet: Quiet = False,
) -> None:
    """Score many images in shards; the same command resumes.

    Each archive or Parquet file is a shard, and single images are put together. Under torchrun or srun, each process
    takes its share.

    Examples:
      recon-detect run shards/ results/ --workers 8

      recon-detect run 's3://bucket/*.tar' results/

      recon-detect status results/
    """
    from recon_detect.output.checks import check_apart

    options: DetectorOptions = {
        "method": split(method) or DEFAULT_METHOD,
        "models": split(models),
        "distance": distance,
        "device": device,
        "dtype": dtype,
        "effort": effort,
        "batch_size": batch_size,
        "max_pixels": max_pixels,
        "exif_orientation": exif_orientation,
        "inversion": Inversion(inversion_steps, real_step),
        "middle_square": middle_square,
        "classifier": classifier,
        "compile": compile,
    }
    hush(quiet)
    check_apart(paths, destination)
    runner = Runner(workers, ray, gpus_per_worker)
    with advising("the same command resumes"):
        status = _run(paths, destination, images_per_shard, options, calibration, runner, quiet)
    raise typer.Exit(SOME_FAILED if status.failed else 0)


def status(destination: Folder, json_lines: AsJson = False) -> None:
    """Show the progress of a run."""
    from recon_detect.scale.destination import Destination

    status = Destination(destination).status()
    print(json.dumps(asdict(status)) if json_lines or not sys.stdout.isatty() else _line(status))


def _run(
    paths: list[str],
    folder: Path,
    images_per_shard: int,
    options: DetectorOptions,
    calibration: str | None,
    runner: Runner,
    quiet: bool,
) -> Status:
    """Scores the shards of this process that are lacking; gives the progress of the whole run."""
    from recon_detect.engine.ranks import current_rank, device_of
    from recon_detect.scale.destination import Destination
    from recon_detect.scale.shards import plan

    rank = current_rank()
    if rank.count > 1:
        options["device"] = device_of(rank, options["device"])
    shards = list(plan(paths, images_per_shard))
    if not shards:
        raise UsageError(f"no images in {', '.join(paths)}")
    detector = load(options, calibration)
    destination = Destination(folder)
    destination.begin(paths, shards, detector)
    lacking = destination.lacking(shards[rank.number :: rank.count], detector)
    if not quiet and len(lacking) < len(shards):
        print(f"{len(lacking)} of {len(shards)} shards are left for this process", file=sys.stderr)
    _score(lacking, destination, detector, runner, rank, quiet)
    status = destination.finish(shards)
    if not quiet:
        print(_line(status), file=sys.stderr)
    return status


def _score(
    shards: list[Shard], destination: Destination, detector: Detector, runner: Runner, rank: Rank, quiet: bool
) -> None:
    """Scores shards, with a line in the log on each."""
    from tqdm import tqdm

    begun = time.monotonic()
    destination.log(rank.number, "begin", shards=len(shards), workers=runner.workers, run=detector.run_info.fingerprint)
    results = runner.results(shards, destination.folder, detector)
    bar = tqdm(total=len(shards), unit="shard", disable=True if quiet else None)
    try:
        with closing(results), bar:
            for shard, result in results:
                destination.log(rank.number, "shard", file=shard.output, source=shard.title, **asdict(result))
                bar.update()
    except BaseException as error:
        with suppress(OSError):  # of a full disk, which is the error
            destination.log(rank.number, "stop", error=f"{type(error).__name__}: {error}".rstrip(": "))
        raise
    destination.log(rank.number, "end", seconds=round(time.monotonic() - begun, 3))


def _line(status: Status) -> str:
    """Progress in words."""
    partial = sum(status.in_progress.values())
    more = f"; {partial} images of {len(status.in_progress)} other shards" if status.in_progress else ""
    return (
        f"{status.complete} of {status.shards} shards complete: {status.images} images, {status.failed} failed, "
        f"{status.likely_generated} likely generated{more}"
    )
