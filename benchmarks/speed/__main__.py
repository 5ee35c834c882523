"""Images per second beside the published schedules, in turn in one run, with the same weights and images.

    python -m benchmarks.speed --method aeroblade --models taesd --data ../shared/eval --images 8
    python -m benchmarks.speed --method aeroblade --models sd1,sd2,kandinsky21 --device cuda --images 64
    python -m benchmarks.speed --method aeroblade --models random --efforts quick,normal --images 1 --cpu-time
    python -m benchmarks.speed --method dire --size 64 --channels 64
    python -m benchmarks.speed --method dire --model adm256/ --device cuda --images 64

`benchmarks.speed.aeroblade` and `benchmarks.speed.dire` say what is compared. The share of the peak is that of a large
matrix product in the same precision, measured in the same run. Memory is the peak of a process of its own on a CPU
(resident, with all libraries), and what was allocated at most on a GPU.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common.data import RESULTS, large_enough, read_manifest, write_table
from benchmarks.report.report import accompany
from benchmarks.speed import aeroblade as aeroblade_speed
from benchmarks.speed import dire as dire_speed
from benchmarks.speed.timing import Clock, Way, hardware, peak, rounds_of
from recon_detect.errors import UsageError
from recon_detect.images.transform import Transform
from recon_detect.models.engines import choose_for_many_channels
from recon_detect.tensors.devices import find_device, has_bfloat16

# Name of three full-size autoencoders of random weights: time does not depend on the values.
RANDOM = "random"
# Path, conditions, and a line for each way.
Measured = tuple[Path, str, list[dict[str, object]]]


def dtypes_of(given: str | None, device: torch.device) -> list[str]:
    """Precisions that were asked for, or that the device has instructions for."""
    if given:
        return given.split(",")
    auto = ["auto"] if device.type == "cpu" else []
    return ["float32", *auto, "bfloat16"] if has_bfloat16(device) else ["float32", *auto]


def dire(options: argparse.Namespace) -> Measured:
    dtypes = dtypes_of(options.dtypes, find_device(options.device))
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.model or dire_speed.random_model(Path(temporary), options.size or 64, options.channels)
        ways, model, device = dire_speed.ways(folder, options.images, options.device, dtypes, compiled=options.compile)
        table, peaks, apart = measure(options, ways, dire_speed, options.images, device)
    side = model.config["sample_size"]
    parameters = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    return (
        RESULTS / f"speed-dire-{side}-{device.type}.csv",
        f"DIRE with a network of {parameters:.0f} million parameters at {side} px, {2 * len(model.schedule)} "
        f"evaluations an image, {options.images} images from arrays to scores, model loaded; "
        f"{measured_by(options, peaks, apart, device)}",
        table,
    )


def aeroblade(options: argparse.Namespace) -> Measured:
    device, side = find_device(options.device), options.size or 512
    with tempfile.TemporaryDirectory() as temporary:
        files = pictures(options.data, Path(temporary, "images"), side, options.images)
        dtypes, recons = dtypes_of(options.dtypes, device), Path(temporary)
        models, efforts = options.models, options.efforts.split(",") if options.efforts else ()
        if models == RANDOM:
            models = ",".join(map(str, aeroblade_speed.random_autoencoders(Path(temporary))))
        ways = aeroblade_speed.ways(files, models, device, dtypes, recons, options.batch_size, efforts)
        table, peaks, apart = measure(options, ways, aeroblade_speed, len(files), device)
    models = "+".join(Path(model).name for model in models.split(","))
    return (
        RESULTS / f"speed-aeroblade-{models}-{side}-{device.type}.csv",
        f"AEROBLADE with {models}, {len(files)} PNG files of {side} px, from files to scores; "
        f"{measured_by(options, peaks, apart, device)}",
        table,
    )


@dataclass(frozen=True, slots=True)
class Taken:
    """Time and memory that one way took.

    Attributes:
        seconds: Seconds of its best round.
        ratios: How many times as long the first way took, round by round.
        loaded: The same without loading.
        stages: Seconds by stage, of a round of their own.
        memory: Bytes at most.
        work: Operations of convolutions and matrix products.
        peak: Operations per second that the device does at most in the precision of the way.
    """

    seconds: float
    ratios: Sequence[float]
    loaded: float
    stages: Mapping[str, float]
    memory: int
    work: float
    peak: float


def measure(
    options: argparse.Namespace, ways: Mapping[str, Way], method: ModuleType, images: int, device: torch.device
) -> tuple[list[dict[str, object]], dict[torch.dtype, float], float]:
    """Lines of the table, the first way being what others are compared with; peaks; how far scores are apart at most.

    The module of a method has the names of its stages, `STAGES`, and what puts them under a clock, `stages_of`.
    """
    if options.memory_of:
        ways[options.memory_of].run(Clock(device))
        print(high_water_mark())
        raise SystemExit
    if device.type == "cpu":
        choose_for_many_channels()  # while operations are counted, engines of many operations look slow
    first = {name: counted(way, device) for name, way in ways.items()}
    rounds = rounds_of(options.rounds, {name: way.run for name, way in ways.items()}, device, cpu=options.cpu_time)
    best = {name: min(taken, key=lambda pair: pair[0]) for name, taken in rounds.items()}
    base = next(iter(ways))
    peaks = {dtype: peak(device, dtype) for dtype in dict.fromkeys(way.dtype for way in ways.values())}
    taken = {
        name: Taken(
            seconds=best[name][0],
            ratios=[of_base / of_way for (of_base, _), (of_way, _) in zip(rounds[base], rounds[name], strict=True)],
            loaded=best[name][0] - best[name][1].stages["load"],
            stages=staged(way, method.stages_of, device, cpu=options.cpu_time),
            memory=0 if options.no_memory else most_memory(name, way, device),
            work=first[way.like or name][1],
            peak=peaks[way.dtype],
        )
        for name, way in ways.items()
    }
    apart = max(float(np.abs(first[name][0] / first[base][0] - 1).max()) for name, way in ways.items() if way.alike)
    return [{"way": n} | line(t, taken[base], method.STAGES, images) for n, t in taken.items()], peaks, apart


def line(taken: Taken, base: Taken, stages: Sequence[str], images: int) -> dict[str, object]:
    """Line of the table: one way beside the first."""
    columns: dict[str, object] = {
        "images_per_s": round(images / taken.seconds, 4),
        "ratio": round(statistics.median(taken.ratios), 2),
        "ratio_low": round(min(taken.ratios), 2),
        "ratio_high": round(max(taken.ratios), 2),
    }
    if "load" in stages:
        columns["images_per_s_without_loading"] = round(images / taken.loaded, 4)
        columns["ratio_without_loading"] = round(base.loaded / taken.loaded, 2)
    return columns | {
        **{f"{stage}_s": round(taken.stages[stage] / images, 4) for stage in stages},
        "peak_memory_gb": round(taken.memory / 1e9, 2),
        "teraflop_an_image": round(taken.work / images / 1e12, 4),
        "share_of_peak": round(taken.work / taken.loaded / taken.peak, 3),
    }


def pictures(data: Path | None, folder: Path, side: int, number: int) -> list[Path]:
    """PNG files of one size: centre crops of a data set, or smooth noise where there is none."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    images = []
    if data:
        rows = large_enough(read_manifest(data), side)
        if len(rows) < number:
            raise UsageError(f"{data}: {len(rows)} images of {side} px or more; {number} wanted")
        images = [Transform(side).image(data / rows[i]["path"]) for i in draw.permutation(len(rows))[:number]]
    else:
        coarse = draw.integers(0, 256, (number, max(side // 16, 1), max(side // 16, 1), 3), np.uint8)
        images = [Image.fromarray(one).resize((side, side), Image.Resampling.BICUBIC) for one in coarse]
    for place, image in enumerate(images):
        image.save(folder / f"{place:04}.png")
    return sorted(folder.glob("*.png"))


def counted(way: Way, device: torch.device) -> tuple[np.ndarray, float]:
    """Scores, and operations of convolutions and matrix products where the way does not tell; warms up besides."""
    if way.work is not None:
        return way.run(Clock(device)), way.work
    with FlopCounterMode(display=False) as counter:
        scores = way.run(Clock(device))
    return scores, counter.get_total_flops()


def staged(
    way: Way, stages_of: Callable[[Clock], AbstractContextManager[None]], device: torch.device, *, cpu: bool
) -> Mapping[str, float]:
    """Seconds of a run by stage."""
    clock = Clock(device, cpu=cpu)
    with stages_of(clock):
        way.run(clock)
    return clock.stages


def most_memory(name: str, way: Way, device: torch.device) -> int:
    """Bytes that tensors took on a GPU at most, or a process that does nothing else."""
    if device.type != "cuda":
        return resident(name)
    torch.cuda.reset_peak_memory_stats(device)
    way.run(Clock(device))
    return torch.cuda.max_memory_allocated(device)


def resident(name: str) -> int:
    """Bytes that a process takes at most which does nothing else."""
    command = [sys.executable, "-m", "benchmarks.speed", *sys.argv[1:], "--memory-of", name]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1])


def high_water_mark() -> int:
    """Bytes that this process had in memory at most; Linux alone keeps it apart from its parent's."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def measured_by(
    options: argparse.Namespace, peaks: Mapping[torch.dtype, float], apart: float, device: torch.device
) -> str:
    """Conditions that both methods report."""
    named = ", ".join(
        f"{value / 1e12:.3g} TFLOP/s in {str(dtype).removeprefix('torch.')}" for dtype, value in peaks.items()
    )
    return (
        f"{'CPU seconds' if options.cpu_time else 'seconds'} an image by stage; best of {options.rounds} rounds in "
        f"turn; ratio: median, least and greatest of the rounds; all scores within {apart:.1%} of the "
        f"published; measured peak {named}; {hardware(device)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", choices=["aeroblade", "dire"], default="dire")
    shapes = f"'{RANDOM}': the shapes of SD 1, SDXL and Kandinsky 2.1"
    help_of_models = f"of aeroblade: names, sets, folders, separated by commas; {shapes}"
    parser.add_argument("--models", default="taesd", help=help_of_models)
    parser.add_argument("--efforts", default=None, help="of aeroblade: the default method beside it, at these efforts")
    parser.add_argument("--data", type=Path, default=None, help="for aeroblade: folder with manifest.csv")
    parser.add_argument("--batch-size", type=int, default=None, help="of aeroblade; without it: by free memory")
    parser.add_argument("--model", type=Path, default=None, help="of dire: folder in diffusers' format")
    parser.add_argument("--channels", type=int, default=None, help="of a random model, for one smaller than OpenAI's")
    parser.add_argument("--size", type=int, default=None, help="of the images; of a random model 64 or 256")
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3, help="of all ways in turn; the best of each counts")
    parser.add_argument("--cpu-time", action="store_true", help="count seconds of the process, not those that pass")
    parser.add_argument("--device", default=None)
    parser.add_argument("--dtypes", default=None, help="default: float32, on a CPU auto, bfloat16 where there is any")
    parser.add_argument("--compile", action="store_true", help="dire compiled beside not; compiling is not counted")
    parser.add_argument("--output", type=Path, default=None)
    parser.add_argument("--no-memory", action="store_true", help="without the peak of memory, which takes another run")
    parser.add_argument("--memory-of", default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    output, conditions, table = {"aeroblade": aeroblade, "dire": dire}[options.method](options)
    output = options.output or output
    write_table(output, conditions, table)
    accompany(output, options.data)
    for line in table:
        print(line)


if __name__ == "__main__":
    main()
