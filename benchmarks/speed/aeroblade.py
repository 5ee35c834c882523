"""The published schedule of AEROBLADE beside this package's: same weights, same files, from files to scores.

What the authors' scripts do, written anew from a description: for every path that they are given and every model, load
the model and LPIPS, take one image at a time, sample the posterior, round the reconstruction to 8 bits and write it as
PNG, read both pictures again, and compute all five layers of LPIPS-VGG of both, of which one is used. In float16 on a
GPU, in float32 on a CPU (which the scripts do not know). What is left out in their favour: they load the whole
pipeline, of which only the autoencoder is loaded here, and fill caches.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from benchmarks.speed.timing import Clock, Way, precision, under
from recon_detect import load_detector
from recon_detect.engine import loader
from recon_detect.errors import WeightsMissing
from recon_detect.evidence.distances import Distances
from recon_detect.models.autoencoders import Autoencoder
from recon_detect.models.lpips import LPIPS, layer_count
from recon_detect.models.registry import expand
from recon_detect.models.torchvision_guard import hide_broken_torchvision
from recon_detect.models.trunks import find_trunk
from recon_detect.models.weights import find_weights
from recon_detect.settings import DetectorOptions

LAYERS = tuple(range(1, layer_count("vgg") + 1))
# AEROBLADE's layer, the deepest that this package computes.
LAYER = 2
# Layers of torchvision's `features`: index, channels in, channels out.
_CONVOLUTIONS = ((0, 3, 64), (2, 64, 64), (5, 64, 128), (7, 128, 128), (10, 128, 256), (12, 256, 256), (14, 256, 256),
                 (17, 256, 512), (19, 512, 512), (21, 512, 512), (24, 512, 512), (26, 512, 512),
                 (28, 512, 512))  # fmt: skip
STAGES = ("load", "read", "encode", "decode", "write", "distance")


def random_autoencoders(folder: Path, *, tiny: bool = False) -> list[Path]:
    """Writes autoencoders of random weights with the shapes of Stable Diffusion 1, SDXL and Kandinsky 2.1.

    Time does not depend on the values. Stable Diffusion 1 and SDXL have one architecture; their weights differ.
    """
    import diffusers

    narrow, layers = (4, 1) if tiny else (1, 2)
    levels = tuple(channels // narrow for channels in (128, 256, 512, 512))
    kl = {
        "block_out_channels": levels,
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "layers_per_block": layers,
        "latent_channels": 4,
    }
    movq = kl | {
        "block_out_channels": tuple(channels // narrow for channels in (128, 256, 256, 512)),
        "down_block_types": (*("DownEncoderBlock2D",) * 3, "AttnDownEncoderBlock2D"),
        "up_block_types": ("AttnUpDecoderBlock2D", *("UpDecoderBlock2D",) * 3),
        "num_vq_embeddings": 64 if tiny else 16384,
        "vq_embed_dim": 4,
        "norm_type": "spatial",
    }
    folders = []
    for seed, (name, kind, config) in enumerate(
        (("sd1", "AutoencoderKL", kl), ("sdxl", "AutoencoderKL", kl), ("kandinsky21", "VQModel", movq))
    ):
        torch.manual_seed(seed)
        folders.append(folder / f"random-{name}")
        getattr(diffusers, kind)(**config).save_pretrained(folders[-1])
    return folders


@cache
def vgg16() -> dict[str, torch.Tensor]:
    """Tensors of VGG16; what this machine lacks of the deeper layers is random, which takes as long."""
    torch.manual_seed(0)
    tensors: dict[str, torch.Tensor] = {}
    for index, inner, outer in _CONVOLUTIONS:
        names = (f"features.{index}.weight", f"features.{index}.bias")
        try:
            tensors |= find_trunk("vgg", names)
        except WeightsMissing:
            if index <= 7:  # of the layer that is used
                raise
            deviation = math.sqrt(2 / (9 * inner))
            tensors |= {names[0]: torch.randn(outer, inner, 3, 3) * deviation, names[1]: torch.zeros(outer)}
    return tensors


def load_published(model: str, device: torch.device, dtype: torch.dtype) -> Any:
    """An autoencoder as diffusers loads it, with its weights in the precision that it computes in."""
    hide_broken_torchvision()
    import diffusers

    diffusers.utils.logging.set_verbosity_error()  # entries of other versions in config.json
    folder = find_weights(model, fetch=False).folder
    name = json.loads((folder / "config.json").read_text(encoding="utf-8"))["_class_name"]
    module = getattr(diffusers, name).from_pretrained(folder, torch_dtype=dtype, use_safetensors=True)
    return module.to(device).eval().requires_grad_(False)


def load_lpips(trunk: dict[str, torch.Tensor], device: torch.device) -> LPIPS:
    """LPIPS of all layers in the memory layout of the package lpips."""
    lpips = LPIPS("vgg", LAYERS, device, trunk=trunk)
    lpips._weights = {name: tensor.contiguous() for name, tensor in lpips._weights.items()}
    return lpips


def reconstruct(module: Any, x: torch.Tensor, generator: torch.Generator, clock: Clock) -> torch.Tensor:
    """Reconstructions in [0, 1], from a sample of the posterior where there is one."""
    with clock("encode"):
        encoded = module.encode(x)
        if hasattr(encoded, "latent_dist"):
            mean, deviation = encoded.latent_dist.mean, encoded.latent_dist.std
            latents = mean + deviation * torch.randn(mean.shape, generator=generator).to(mean)
        else:
            latents = encoded.latents
    with clock("decode"):
        unquantised = {"force_not_quantize": True} if type(module).__name__ == "VQModel" else {}
        decoded: torch.Tensor = module.decode(latents, **unquantised).sample
        return (decoded / 2 + 0.5).clamp(0, 1)


def read(path: Path, device: torch.device) -> torch.Tensor:
    """(1, 3, H, W) in [0, 1], float32."""
    with Image.open(path) as image:
        pixels = torch.from_numpy(np.array(image.convert("RGB")))
    return pixels.permute(2, 0, 1)[None].float().div(255).to(device)


def distance(lpips: LPIPS, original: torch.Tensor, recon: torch.Tensor) -> dict[int, torch.Tensor]:
    """Maps of all layers, and of their sum at the size of the image (layer 0), in float16 on the CPU."""
    maps = lpips.maps(lpips.features(original * 2 - 1), lpips.features(recon * 2 - 1))
    size = original.shape[-2:]
    whole = [F.interpolate(m, size=size, mode="bilinear", align_corners=False) for m in maps.values()]
    return {layer: m.half().cpu() for layer, m in ({0: torch.stack(whole).sum(dim=0)} | maps).items()}


def published(
    groups: Sequence[Sequence[Path]],
    models: Sequence[str],
    device: torch.device,
    dtype: torch.dtype,
    recons: Path,
    clock: Clock,
) -> np.ndarray[Any, Any]:
    """The schedule of the scripts; each group of files is one path that they were given."""
    scores = []
    with torch.inference_mode():
        for files in groups:
            by_model = []
            for model in models:
                with clock("load"):
                    module = load_published(model, device, dtype)
                generator = torch.Generator().manual_seed(1)
                for file in files:
                    with clock("read"):
                        x = read(file, device)
                    y = reconstruct(module, (x * 2 - 1).to(dtype), generator, clock)
                    with clock("write"):
                        pixels = y[0].mul(255).byte().permute(1, 2, 0).cpu().numpy()
                        Image.fromarray(pixels).save(recons / f"{file.stem}.png")
                with clock("load"):
                    lpips = load_lpips(vgg16(), device)
                scores_of_model = []
                for file in files:
                    with clock("read"):
                        pair = read(file, device), read(recons / f"{file.stem}.png", device)
                    with clock("distance"):
                        scores_of_model.append(float(-distance(lpips, *pair)[LAYER].mean(dim=(2, 3))))
                by_model.append(scores_of_model)
            scores += np.max(by_model, axis=0).tolist()
    return np.array(scores)


def stages_of(clock: Clock) -> AbstractContextManager[None]:
    """Puts this package's stages under a clock. Reading happens in threads beside the rest, and may add up to more."""
    return under(clock, (loader, "open_picture", "read"), (Autoencoder, "encode", "encode"),
                 (Autoencoder, "decode", "decode"), (Distances, "features", "distance"),
                 (Distances, "maps", "distance"))  # fmt: skip


def ours(
    files: Sequence[Path], models: Sequence[str], device: torch.device, dtype: str, clock: Clock, *, batch: int | None
) -> np.ndarray[Any, Any]:
    """Scores by this package, from loading on."""
    options: DetectorOptions = {"models": models, "device": str(device), "dtype": dtype, "batch_size": batch}
    return scored(files, clock, {"method": "aeroblade"} | options)


def scored(files: Sequence[Path], clock: Clock, options: DetectorOptions) -> np.ndarray[Any, Any]:
    """Scores by a detector with some options, from loading on."""
    with clock("load"):
        detector = load_detector(**options)
    return detector.score([str(file) for file in files], progress=False).raise_for_errors().scores


def ways(
    files: Sequence[Path],
    models: str,
    device: torch.device,
    dtypes: Sequence[str],
    recons: Path,
    batch: int | None,
    efforts: Sequence[str] = (),
) -> dict[str, Way]:
    """The published schedule, given its files one by one as in its quickstart and as a folder, and this package's.

    The default method at some efforts comes last: it answers the same question by other scores.
    """
    names = expand(tuple(models.split(",")))
    theirs = torch.float16 if device.type == "cuda" else torch.float32

    def schedule(groups: Sequence[Sequence[Path]]) -> Way:
        return Way(lambda clock: published(groups, names, device, theirs, recons, clock), theirs)

    timed = {"as published, file by file": schedule([[file] for file in files])}
    if len(files) > 1:
        timed["as published, a folder"] = schedule([files])
    for dtype in dtypes:
        # What another library computes cannot be counted: the operations are those of float32, listed before it.
        like = "recon_detect, float32" if dtype == "auto" and "float32" in dtypes else None
        timed[f"recon_detect, {dtype}"] = Way(
            partial(ours, files, names, device, dtype, batch=batch), precision(dtype), like=like
        )
    for effort in efforts:
        options: DetectorOptions = {"device": str(device), "effort": effort}
        timed[f"the default, {effort}"] = Way(partial(scored, files, options=options), torch.float32, alike=False)
    return timed
