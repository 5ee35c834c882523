r"""How well the default method separates, under several conditions, from evidence that was computed once.

    python -m benchmarks.evidence --data ../shared/eval --conditions png,jpeg-75 --scales 1,4/3,2,2/3 \
        --distances lpips_vgg_2 --output evidence/
    python -m benchmarks.grain --data ../shared/eval --evidence evidence/

The numbers are those of `recon_detect.methods.grain` on the same looks: its formulas, its prior and the shipped nulls.
Conditions without evidence at the other scales are scored at the first alone, and say so. The thresholds are nominal:
they come from photographs of other collections, not from these.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file
from scipy.stats import norm

from benchmarks.ablation import MODELS, summary
from benchmarks.detection import RESULTS
from benchmarks.nulls import measure
from recon_detect.files import replacing
from recon_detect.looks import SCALES
from recon_detect.methods.grain import DECISIVE, GRAIN, PRIOR, corrected, pooled, shares
from recon_detect.models.registry import family_of
from recon_detect.nulls import find_nulls

NULLS = find_nulls(GRAIN.name, GRAIN.distance, MODELS)
DECODERS = {"SD kl-f8": "sd", "SDXL VAE": "sdxl", "Flux.1 16ch VAE": "flux1", "SD3 16ch VAE": "sd3"}


def standardised(blocks: dict[str, np.ndarray], scale: float) -> np.ndarray:
    """Contrasts (K, P) of one look in standard deviations of photographs."""
    found = torch.from_numpy(np.array([measure(blocks, model, np.s_[:, :], scale) for model in MODELS]))
    z: np.ndarray = NULLS.standardise(found[None, :, :-1], found[None, :, -1])[0].numpy()
    return z


def score(blocks: dict[str, np.ndarray]) -> tuple[float, str]:
    """Score and decoder family of one image."""
    scales = [scale for scale in SCALES if f"{scale:.4f}/{MODELS[0]}/identity/1/lpips_vgg_2" in blocks]
    tests = np.full((len(MODELS), len(scales), len(PRIOR)), -np.inf)
    for number, (scale, share) in enumerate(zip(scales, shares(len(scales)), strict=True)):
        tests[:, number] = corrected(standardised(blocks, scale), share)
        if pooled(tests.max(axis=(1, 2))[None])[0] >= DECISIVE:
            break
    per_model = tests.max(axis=(1, 2))
    return float(pooled(per_model[None])[0]), family_of(MODELS[per_model.argmax()])


def condition(folder: Path, rows: list[dict[str, str]]) -> dict[str, object]:
    """One line of the table."""
    kept, found, looked = [], [], 0
    for row in rows:
        path = folder / f"{row['sha256'][:16]}.safetensors"
        if path.exists():
            blocks = load_file(path)
            looked = len({key.split("/")[0] for key in blocks})
            kept.append(row)
            found.append(score(blocks))
    scores = np.array([value for value, _ in found])
    real = np.array([row["label"] == "real" for row in kept])
    line: dict[str, object] = {
        "condition": folder.name,
        "scales": looked,
        "real": int(real.sum()),
        "generated": int((~real).sum()),
    }
    line |= summary(scores, kept)
    for rate in (0.05, 0.01):
        threshold = norm.isf(rate)
        line[f"fpr_at_nominal_{rate:g}"] = round(float(np.mean(scores[real] > threshold)), 4)
        line[f"tpr_at_nominal_{rate:g}"] = round(float(np.mean(scores[~real] > threshold)), 4)
    known = [(decoder, DECODERS[row["autoencoder"]]) for row, (value, decoder) in zip(kept, found, strict=True)
             if row["autoencoder"] in DECODERS and value > norm.isf(0.05)]  # fmt: skip
    line["decoder_right"] = round(float(np.mean([a == b for a, b in known])), 4) if known else ""
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument("--evidence", type=Path, required=True, nargs="+", help="what benchmarks.evidence wrote")
    parser.add_argument("--output", type=Path, default=RESULTS / "grain-tiny-crop320.csv")
    options = parser.parse_args()
    with (options.data / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    folders = [folder for root in options.evidence for folder in sorted(root.iterdir()) if folder.is_dir()]
    table = [condition(folder, rows) for folder in folders]
    with replacing(options.output) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        file.write(f"# {options.data.name}, centre crop of 320 px on the 32-px grid, then the condition, both classes ")
        file.write(
            f"alike; {', '.join(MODELS)} in bfloat16 on a CPU; nulls of other photographs, as shipped; a random "
        )
        file.write("sample of the data set where n is below 118 and 112\n")
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    for line in table:
        print(line)


if __name__ == "__main__":
    main()
