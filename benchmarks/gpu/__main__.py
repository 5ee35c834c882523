"""All checks and measurements on a GPU, each under a time limit of its own; one that fails does not stop the others.

    python -m benchmarks.gpu --output out/
    python -m benchmarks.gpu --tiny --device cpu --output out/     # the same steps on small inputs, to test them

Takes at most eight minutes. Writes a table for each step and `gpu-check-DEVICE.csv`, which says what each step came to;
the exit code is 1 if one failed. `benchmarks.gpu.steps` says what the steps measure. Needs torch with CUDA, and weights
in a folder that RECON_DETECT_WEIGHTS names: `taesd`, and the first convolutions of VGG16 (docs/results/speed.md).
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common.data import write_table
from benchmarks.gpu.steps import STEPS
from benchmarks.speed.timing import hardware
from recon_detect.tensors.devices import find_device

# Seconds that each step may take, those first that decide whether the others mean anything.
LIMITS = {"peak": 20, "tests": 70, "loop": 60, "pool": 90, "aeroblade": 110, "search": 60, "dire": 70}


@dataclass(frozen=True, slots=True)
class Step:
    """One step as a command.

    Attributes:
        name: Name in the summary.
        seconds: Time limit.
        command: Arguments of Python.
    """

    name: str
    seconds: int
    command: tuple[str, ...]


def steps(options: argparse.Namespace) -> list[Step]:
    """The steps that are asked for."""
    size = ("--tiny",) if options.tiny else ()
    arguments = ("--device", options.device, "--output", options.output, *size)
    commands = {name: ("-m", "benchmarks.gpu.steps", name, *arguments) for name in STEPS}
    files = [str(path) for path in sorted(Path("tests").rglob("test_*.py")) if "mark.gpu" in path.read_text()]
    # Without the options of the project, which name plugins that a bare machine may lack.
    plain = ("-o", "addopts=--import-mode=importlib", "-o", "filterwarnings=")
    commands["tests"] = ("-m", "pytest", *files, "-m", "gpu", "-q", *plain)
    return [Step(name, LIMITS[name], commands[name]) for name in options.steps.split(",")]


def run(step: Step, scale: float) -> dict[str, object]:
    """A line of the summary; ends a step with all its processes when its time is over."""
    print(f"--- {step.name}", flush=True)
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, *step.command], start_new_session=True)
    try:
        code = process.wait(step.seconds * scale)
        outcome = "ok" if code == 0 else f"failed with code {code}"
    except subprocess.TimeoutExpired:
        outcome = f"stopped after {step.seconds * scale:.0f} s"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return {"step": step.name, "outcome": outcome, "seconds": round(time.perf_counter() - started, 1)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", default=os.environ.get("OUT", "out"), help="folder of the tables; default $OUT")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small inputs and networks, to test the steps themselves")
    parser.add_argument("--steps", default=",".join(LIMITS), help="names, separated by commas")
    parser.add_argument("--patience", type=float, default=1, help="multiplies the time limits, for a busy machine")
    options = parser.parse_args()
    device = find_device(options.device)
    Path(options.output).mkdir(parents=True, exist_ok=True)
    table = []
    for step in steps(options):
        table.append(run(step, options.patience))
        # After each, for a machine that is taken away.
        write_table(Path(options.output, f"gpu-check-{device.type}.csv"), hardware(device), table)
    for line in table:
        print(*line.values(), sep="; ")
    return int(any(line["outcome"] != "ok" for line in table))


if __name__ == "__main__":
    sys.exit(main())
