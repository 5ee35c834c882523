"""Decoder families: the names that manifests and results give them, and the short names of the package."""

from __future__ import annotations

SD, SDXL, FLUX1, SD3 = "SD kl-f8", "SDXL VAE", "Flux.1 16ch VAE", "SD3 16ch VAE"

# The four families with the most images, by label, in the order of tables; the short names are those of
# `recon_detect.models.registry.family_of`.
FAMILIES = {SD: "sd", SDXL: "sdxl", FLUX1: "flux1", SD3: "sd3"}
FLUX2, OTHER = "Flux.2 32ch VAE", "other"
PHOTOGRAPH = "photograph"
# Titles of the families in tables of pictures from the web; all other decoders are `OTHER`.
GROUPS = {"sd": "SD", "sdxl": "SDXL", "flux1": "FLUX.1", "sd3": "SD3", "flux2": "FLUX.2"}
# Other labels of the same families: fine-tuned decoders of SD keep its latents.
_VARIANTS = {"SD kl-f8 (ft-mse)": "sd", "SD kl-f8 (finetuned VAE)": "sd"}


def decoder_of(label: str) -> str:
    """The short name of the family that a manifest calls its autoencoder; `PHOTOGRAPH` for any other label."""
    return (FAMILIES | _VARIANTS).get(label, PHOTOGRAPH)


def group_of(label: str) -> tuple[str, str]:
    """The title of the group of a manifest's autoencoder in tables by family, and its short name if it has one."""
    short = decoder_of(label) if label != FLUX2 else "flux2"
    return (GROUPS[short], short) if short in GROUPS else (OTHER, "")
