"""Measurements of one process on a GPU; `benchmarks.gpu` runs them under time limits.

- `peak`: operations per second of a large matrix product, by precision.
- `loop`: images per second from PNG files to scores by `aeroblade` with a tiny autoencoder: decoding in threads, pinned
  transfer, batches, one precision after the other; and decoding alone, which bounds it.
- `pool`: images per second from memory on the device to scores, with one tiny autoencoder and with the four of the
  package; on a GPU also with the first compiled for one size, which uses CUDA graphs.
- `search`: images per second of the methods that search for a grain or a grid.
- `aeroblade`, `dire`: the published schedules beside ours (`benchmarks.speed`), with networks of random weights
  in full size. Few images, because a published schedule takes seconds for each.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common.data import write_table
from benchmarks.speed import __main__ as speed
from benchmarks.speed import aeroblade as aeroblade_speed
from benchmarks.speed import dire as dire_speed
from benchmarks.speed import timing
from benchmarks.speed.timing import hardware, peak, seconds
from recon_detect import Detector, load_detector
from recon_detect.engine.loader import load
from recon_detect.images import find_sources
from recon_detect.settings import Settings
from recon_detect.tensors.devices import find_device

Line = dict[str, object]
PRECISIONS = ("bfloat16", "float16", "float32")


@dataclass(frozen=True, slots=True)
class Amount:
    """Sizes of inputs: those of a measurement, or those of a test of the steps."""

    side: int
    files: int
    batch: int
    repeats: int
    searched: int


# Method and effort; a test of the steps leaves out the last.
SEARCHING = (("trace", "quick"), ("grid", "normal"), ("trace", "thorough"))
FULL, TINY = Amount(512, 256, 64, 8, 16), Amount(64, 3, 2, 1, 1)


def peaks(device: torch.device, amount: Amount) -> Iterator[Line]:
    for name in PRECISIONS if device.type == "cuda" else ("float32",):
        yield {"precision": name, "teraflop_per_s": round(peak(device, getattr(torch, name)) / 1e12, 3)}


def loop(device: torch.device, amount: Amount) -> Iterator[Line]:
    with tempfile.TemporaryDirectory() as temporary:
        files = speed.pictures(None, Path(temporary, "images"), amount.side, amount.files)

        def decode() -> None:
            with closing(load(find_sources(files), Settings())) as items:
                deque(items, maxlen=0)

        yield rate("decode alone", seconds(decode, torch.device("cpu")), len(files))
        for dtype in PRECISIONS if device.type == "cuda" else ("float32",):
            detector = load_detector("aeroblade", models="taesd", device=str(device), dtype=dtype)
            score_all(detector, files)  # warms up
            taken = seconds(partial(score_all, detector, files), device)
            yield rate(f"files to scores, {dtype}", taken, len(files))


def pool(device: torch.device, amount: Amount) -> Iterator[Line]:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(amount.batch, 3, amount.side // 16, amount.side // 16, generator=generator)
    images = torch.nn.functional.interpolate(coarse, scale_factor=16, mode="bicubic").clamp(0, 1).to(device) * 2 - 1
    images = images.contiguous(memory_format=torch.channels_last)
    dtype = "bfloat16" if device.type == "cuda" else "float32"
    top = peak(device, getattr(torch, dtype))
    ways = [("taesd", "lpips_vgg_2", False), ("embedded", "encoder_features", False)]
    if device.type == "cuda":
        ways.append(("taesd", "lpips_vgg_2", True))
    for models, distance, compiled in ways:
        detector = load_detector("aeroblade", models=models, distance=distance, device=str(device), dtype=dtype)
        with FlopCounterMode(display=False) as counter:
            scores_of(detector, images[:1])
        if compiled:
            compile_networks(detector)
        taken = fastest(partial(scores_of, detector, images), amount.repeats, device)
        work = counter.get_total_flops() * amount.batch
        name = f"{models}, {distance}, {dtype}{', compiled' if compiled else ''}"
        yield rate(name, taken, amount.batch) | {"share_of_peak": round(work / taken / top, 3)}


def search(device: torch.device, amount: Amount) -> Iterator[Line]:
    draw = np.random.default_rng(0)
    arrays = [draw.integers(0, 256, (amount.side, amount.side, 3), np.uint8) for _ in range(amount.searched)]
    for method, effort in SEARCHING[: 2 if amount is TINY else None]:
        detector = load_detector(method, effort=effort, device=str(device))
        name = f"{method}, {effort}" if method == "trace" else method
        score_all(detector, arrays[:1])  # warms up
        yield rate(name, seconds(partial(score_all, detector, arrays), device), len(arrays))


def score_all(detector: Detector, images: Sequence[Any]) -> None:
    """Scores images, of which none may fail."""
    detector.score(images, progress=False).raise_for_errors()


def scores_of(detector: Detector, images: torch.Tensor) -> list[float]:
    """The scores of a batch on the device, as the loop computes them."""
    with torch.inference_mode():
        return [score.value for score in detector.methods[0].apply(detector.evidence(images))]


def compile_networks(detector: Detector) -> None:
    """Compiles encoders and decoders for one size."""
    for model in detector.models.reconstructors:
        for part in (model._module.encoder, model._module.decoder):
            part.layers.compile(mode="reduce-overhead", dynamic=False)


def fastest(function: Callable[[], object], repeats: int, device: torch.device) -> float:
    """Seconds of the fastest call after two that warm up."""
    for _ in range(2):
        function()
    return min(seconds(function, device) for _ in range(repeats))


def rate(what: str, taken: float, images: int) -> Line:
    return {"what": what, "images": images, "seconds": round(taken, 4), "images_per_s": round(images / taken, 3)}


def aeroblade(options: argparse.Namespace, device: torch.device) -> None:
    """Table of AEROBLADE with three full-size autoencoders."""
    with tempfile.TemporaryDirectory() as temporary:
        folders = aeroblade_speed.random_autoencoders(Path(temporary), tiny=options.tiny)
        size = ("64", "1") if options.tiny else ("512", "8")
        models = ",".join(map(str, folders))
        compare(options, device, "aeroblade", "--models", models, "--size", size[0], "--images", size[1])


def dire(options: argparse.Namespace, device: torch.device) -> None:
    """Table of DIRE with OpenAI's network of 256 px."""
    if options.tiny:
        dire_speed.SIZES[64] = (32, (1, 1, 2), (False, False, True), 1)
    size = ("64", "--images", "1") if options.tiny else ("256", "--images", "4")
    compare(options, device, "dire", "--size", *size)


def compare(options: argparse.Namespace, device: torch.device, method: str, *arguments: str) -> None:
    """Runs `benchmarks.speed`."""
    output = str(options.output / f"speed-{method}-full-{device.type}.csv")
    common = ("--device", options.device, "--rounds", "1", "--no-memory", "--output", output)
    sys.argv = ["benchmarks.speed", "--method", method, *arguments, *common]
    speed.main()


MEASURES: dict[str, Callable[[torch.device, Amount], Iterator[Line]]] = {
    "peak": peaks,
    "loop": loop,
    "pool": pool,
    "search": search,
}
COMPARISONS = {"aeroblade": aeroblade, "dire": dire}
STEPS = (*MEASURES, *COMPARISONS)


def measure(options: argparse.Namespace, device: torch.device) -> None:
    """Writes the table of a step line by line: what was measured before a failure is not lost."""
    amount = TINY if options.tiny else FULL
    conditions = f"{amount.side} px, {'a test of the steps; ' if options.tiny else ''}{hardware(device)}"
    table: list[Line] = []
    for line in MEASURES[options.step](device, amount):
        print(*line.values(), flush=True)
        table.append(line)
        write_table(options.output / f"gpu-{options.step}-{device.type}.csv", conditions, table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--output", type=Path, required=True, help="folder")
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    if options.tiny:
        timing.SIDES |= dict.fromkeys(timing.SIDES, 256)
    COMPARISONS.get(options.step, measure)(options, find_device(options.device))


if __name__ == "__main__":
    main()
