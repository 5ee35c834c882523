"""Kills `score` at random moments, starts it again, and compares with a run that nobody disturbed.

    python -m benchmarks.kill --kills 50

Each start is a fork of this process, which has imported everything already: so that a kill costs a second, not ten. It
ends with an error if an image is missing, is there twice, out of order, or has another score (by more than 1e-6).
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from recon_detect.cli import main as command_line

FORMATS = ("jsonl", "csv", "parquet")
# Images for each kill, of few pixels: rows come by the dozen in the second.
IMAGES_PER_KILL = 6
TOLERANCE = 1e-6


@dataclass(slots=True)
class Tally:
    """Counts of the runs into one format, and how far their scores are from those of the undisturbed run."""

    kills: int = 0
    in_journal: list[int] = field(default_factory=list)
    completed: int = 0
    largest_difference: float = 0.0


def make_images(folder: Path, number: int) -> None:
    """Writes small random pictures of two sizes."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for image in range(number):
        pixels = generator.integers(0, 256, (16, 16 + 8 * (image % 2), 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{image:04}.png")


def make_model(folder: Path) -> None:
    """Writes a small random autoencoder."""
    import diffusers
    import torch

    torch.manual_seed(0)
    sizes = {f"{part}_block_out_channels": (8, 8, 8) for part in ("encoder", "decoder")}
    sizes |= {f"num_{part}_blocks": (1, 1, 1) for part in ("encoder", "decoder")}
    diffusers.AutoencoderTiny(**sizes).save_pretrained(folder)


def start(folder: Path, model: Path, output: Path) -> int:
    """Starts `score` in a process of its own, and gives its id."""
    if process := os.fork():
        return process
    sys.argv = ["recon-detect", "score", str(folder), "--method", "aeroblade", "--models", str(model), "--distance",
                "l2", "--device", "cpu", "--batch-size", "1", "--quiet", "--output", str(output)]  # fmt: skip
    code = 70
    try:
        command_line()
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        os._exit(code)


def ended(process: int) -> int | None:
    """The exit code of a process, negative of one that was killed; None while it runs."""
    done, status = os.waitpid(process, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def size_of(path: Path) -> int:
    """The bytes of a file that another process may move away at any moment; 0 where it is not there."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def kill_at(process: int, journal: Path, size: float, wait: float) -> int:
    """Kills a process as soon as the journal has this size, or a little later; gives its exit code."""
    while (code := ended(process)) is None:
        if size_of(journal) >= size:
            time.sleep(wait)
            os.kill(process, signal.SIGKILL)
            return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        time.sleep(0.0005)
    return code


def disturb(folder: Path, model: Path, suffix: str, kills: int, chance: random.Random, scratch: Path) -> Tally:
    """Kills runs into one format so many times, lets the last one end, and compares each that was complete.

    Raises:
        AssertionError: A difference to the undisturbed run.
    """
    whole, broken = scratch / "whole" / f"out.{suffix}", scratch / "broken" / f"out.{suffix}"
    code = os.waitstatus_to_exitcode(os.waitpid(start(folder, model, whole), 0)[1])
    assert code == 0, f"the undisturbed run ended with {code}"
    tally, journal = Tally(), broken.with_name(broken.name + ".partial")
    rows = len(list(folder.iterdir()))
    step = 2 * 600 * rows / kills  # bytes: so that the mean kill moves the run on by its share
    while tally.kills < kills:
        before = size_of(journal)
        # One start in five is killed while it loads.
        size = 0 if chance.random() < 0.2 else before + chance.uniform(0, step)
        code = kill_at(start(folder, model, broken), journal, size, chance.uniform(0, 0.02 if size else 1.0))
        assert code in (0, -signal.SIGKILL), f"a run that was started again ended with {code}"
        if code:
            tally.kills += 1
            tally.in_journal.append(max(journal.read_bytes().count(b"\n") - 1, 0) if journal.exists() else 0)
        else:
            compare(whole, broken, tally)
            for path in broken.parent.iterdir():
                path.unlink()
    code = os.waitstatus_to_exitcode(os.waitpid(start(folder, model, broken), 0)[1])
    assert code == 0, f"the last run ended with {code}"
    compare(whole, broken, tally)
    return tally


def compare(whole: Path, broken: Path, tally: Tally) -> None:
    """Compares images, their order and scores; nothing but the results may be left in the folder."""
    expected, got = read(whole), read(broken)
    assert [path for path, _ in got] == [path for path, _ in expected], "other images, or in another order"
    differences = [abs(a - b) for (_, a), (_, b) in zip(expected, got, strict=True)]
    tally.largest_difference = max(tally.largest_difference, *differences)
    assert tally.largest_difference <= TOLERANCE, f"scores differ by {tally.largest_difference}"
    left = sorted(path.name for path in broken.parent.iterdir())
    assert left == sorted(path.name for path in whole.parent.iterdir()), f"left behind: {left}"
    tally.completed += 1


def read(path: Path) -> list[tuple[str, float]]:
    """Path and score of each row."""
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        rows = pq.read_table(path).to_pylist()
    elif path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    else:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    scores = [(row["path"], float(row["score"])) for row in rows]
    assert all(math.isfinite(score) for _, score in scores)
    return scores


def run(kills: int, formats: tuple[str, ...], seed: int, scratch: Path) -> dict[str, Tally]:
    """Disturbs runs into each format; see `disturb`."""
    # Before the forks, so that each has it.
    import recon_detect.cli.app
    import recon_detect.detector  # noqa: F401

    make_images(scratch / "images", max(IMAGES_PER_KILL * kills, 60))
    make_model(scratch / "model")
    return {
        suffix: disturb(scratch / "images", scratch / "model", suffix, kills, random.Random(seed), scratch / suffix)
        for suffix in formats
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, help="for each format")
    parser.add_argument("--formats", default=",".join(FORMATS))
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        tallies = run(options.kills, tuple(options.formats.split(",")), options.seed, Path(scratch))
    for suffix, tally in tallies.items():
        print(
            f"{suffix}: {tally.kills} kills, with {min(tally.in_journal)} to {max(tally.in_journal)} rows in the "
            f"journal; {tally.completed} runs completed as if undisturbed, largest difference of a score "
            f"{tally.largest_difference:.1g}"
        )


if __name__ == "__main__":
    main()
