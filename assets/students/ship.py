r"""Puts what was trained into the package: weights in float16, configuration, and a card with its figures.

    python -m assets.students.ship taesd --runs runs/
    python -m assets.students.ship diffusion --runs runs/

Prints the SHA-256 for the row in recon_detect/models/registry.py. `python -m benchmarks.tables` fills in how well they
detect their images, when `benchmarks.detection` has measured it (docs/results/detection.md).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from assets.students.diffusion import CONFIG, RUN, STEPS
from assets.students.training import CHECKPOINT, LOG
from benchmarks.common.families import FAMILIES
from benchmarks.report.layouts import Table
from recon_detect.atomic import replacing
from recon_detect.models.hub import sha256_of
from recon_detect.models.pixel_diffusion import SCHEDULER, WEIGHTS
from recon_detect.models.registry import AUTOENCODERS, STUDENTS
from recon_detect.models.weights import EMBEDDED, find_weights

DIFFUSION = "mini-ddpm"
# Tables of their AUROC that detection writes, and the names of the families there.
OF_STUDENTS = "detection-glance-encoder_features-embedded-bfloat16-crop320-png-cpu.csv"
OF_DIFFUSION = "detection-dire-l1-mini-ddpm-float32-crop0-png-cpu.csv"
LABELS = {family: label for label, family in FAMILIES.items()}
PHOTOGRAPHS = (
    "50 crops of 512 px of openly licensed photographs in the Debian packages mate-backgrounds, "
    "lomiri-wallpapers-16.04 and -20.04, plasma-workspace-wallpapers, lxqt-themes and forensics-samples-files "
    "(assets/photographs.py)"
)
STUDENT_CARD = """# {name}

A student of `{teacher}`, {title}, with the same architecture, AutoencoderTiny.
Trained by this project from random weights, layer by layer, to reproduce the output of each layer of the teacher: in
effect, a copy of the teacher.

{table}

Images of its family against photographs, by `glance` with all four students: AUROC
<!-- figure: {result}; auroc; group=autoencoder: {images} --><!-- / -->. Conditions, and its teacher beside it:
docs/results/detection.md.
"""
DIFFUSION_CARD = """# {name}

A diffusion model of pixels, 64 x 64, after ADM (arXiv:2105.05233) and far smaller. Trained by this project from random
weights. With it, `dire` runs without a download. It draws textures and shapes, no objects, and gives no evidence about
images of other models.

{table}

Its samples against photographs, by `dire`: AUROC <!-- figure: {result}; auroc; group=all --><!-- / -->. Conditions:
docs/results/detection.md.
"""
SCHEDULE = {
    "_class_name": "DDPMScheduler",
    "beta_schedule": "linear",
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "num_train_timesteps": STEPS,
    "prediction_type": "epsilon",
    "clip_sample": True,
}


def likeness(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> float:
    """Median cosine of the weights of the layers."""
    pairs = [(ours[name].float().flatten(), theirs[name].float().flatten()) for name in ours if ours[name].ndim == 4]
    return float(torch.stack([torch.cosine_similarity(*pair, dim=0) for pair in pairs]).median())


def ship_student(folder: Path) -> Path:
    """Writes the folder of a student."""
    teacher = folder.name
    name = STUDENTS[teacher]
    state = weights_of(folder, "student")
    weights = find_weights(teacher)
    original = load_file(weights.folder / weights.filename)
    row = AUTOENCODERS[teacher]
    last = last_of(folder)
    facts = {
        "teacher": f"{row.files[0].repo}, revision {row.files[0].revision}, licence {row.licence}",
        "data": f"{PHOTOGRAPHS}; and the teacher's decodings of their latents with a little noise",
        "recipe": f"`python -m assets.students.autoencoders {teacher}`, {last['round']} rounds, seed 0",
        "time": f"{last['seconds'] / 3600:.1f} h on one core of a CPU",
        "near the teacher, on 24 crops of 128 px": f"latents {last['latents']} dB, decoder alone {last['decoder']} dB, "
        f"both {last['both']} dB; the teacher is {last['teacher to image']} dB from the image",
        "likeness of weights": f"cosine {likeness(state, original):.3f} with the teacher's, median over the layers",
        "licence": f"{row.licence}, of the teacher ({row.files[0].repo}): trained to reproduce each layer "
        "of the teacher, its weights are close to the teacher's",
    }
    config = json.loads((weights.folder / "config.json").read_text(encoding="utf-8"))
    card = STUDENT_CARD.format(
        name=name,
        teacher=teacher,
        title=row.title,
        table=markdown(facts),
        result=OF_STUDENTS,
        images=LABELS[row.family],
    )
    return write(name, state, {"config.json": config}, card)


def ship_diffusion(folder: Path) -> Path:
    """Writes the folder of the diffusion model: its averaged weights."""
    state = weights_of(folder, "averaged")
    last = last_of(folder)
    facts = {
        "architecture": f"UNet2DModel, {sum(value.numel() for value in state.values()) / 1e6:.1f} million parameters",
        "data": f"{PHOTOGRAPHS}, in pieces of 64 to 512 px brought to 64",
        "recipe": f"`python -m assets.students.diffusion`, {last['round']} rounds of 16 pieces, seed 0",
        "time": f"{last['seconds'] / 3600:.1f} h on one to two cores of a CPU",
        "loss": f"{last['loss']} (mean squared error of the noise, over the last 100 rounds)",
        "licence": "Apache-2.0, as this project",
    }
    card = DIFFUSION_CARD.format(name=DIFFUSION, table=markdown(facts), result=OF_DIFFUSION)
    return write(DIFFUSION, state, {"config.json": CONFIG, SCHEDULER: SCHEDULE}, card)


def last_of(folder: Path) -> dict[str, Any]:
    """The last line of the log of a run."""
    last: dict[str, Any] = json.loads((folder / LOG).read_text(encoding="utf-8").splitlines()[-1])
    return last


def weights_of(folder: Path, module: str) -> dict[str, torch.Tensor]:
    state = load_file(folder / CHECKPOINT)
    prefix = f"{module}."
    return {key.removeprefix(prefix): value.half() for key, value in state.items() if key.startswith(prefix)}


def markdown(facts: dict[str, str]) -> str:
    """A table of two columns."""
    return Table(["", ""], list(facts.items()), "").markdown().strip()


def write(name: str, state: dict[str, torch.Tensor], configs: dict[str, dict[str, Any]], card: str) -> Path:
    """Writes weights, configurations by file, and card into the package."""
    folder = EMBEDDED / name
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / WEIGHTS) as temporary:
        save_file({key: value.contiguous() for key, value in state.items()}, temporary, {"format": "pt"})
    for file, config in configs.items():
        (folder / file).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(card, encoding="utf-8")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", help="of runs: teachers, or diffusion")
    parser.add_argument("--runs", type=Path, required=True)
    options = parser.parse_args()
    for name in options.names:
        folder = (ship_diffusion if name == RUN else ship_student)(options.runs / name)
        print(folder.name, sha256_of(folder / WEIGHTS))


if __name__ == "__main__":
    main()
