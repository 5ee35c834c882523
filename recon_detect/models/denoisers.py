"""The noise predictors of latent diffusion models: UNet, schedule and prompt, from a diffusers pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from recon_detect.errors import WeightsError
from recon_detect.models import hub
from recon_detect.models.backbones import quiet_transformers
from recon_detect.models.engines import TORCH, takes_engines, use_fastest
from recon_detect.models.inversion import ddim_inversion, ddim_sampling, noise_error, respaced
from recon_detect.models.torchvision_guard import hide_broken_torchvision
from recon_detect.models.weights import Weights, find_component, folder_of
from recon_detect.settings import Inversion
from recon_detect.tensors.devices import autocast

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

_UNET = "diffusion_pytorch_model.safetensors"
# The parts of a pipeline, and the files of each that are needed.
_COMPONENTS = {
    "unet": ("config.json", _UNET),
    "scheduler": ("scheduler_config.json",),
    "text_encoder": ("config.json", "model.safetensors"),
    "tokenizer": ("vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"),
}


class Denoiser:
    """A UNet that predicts the noise in the latents of an autoencoder.

    Attributes:
        name: Name of the autoencoder of the same pipeline, and ``:unet``.
        weights: Source of the UNet.
        configs: The configurations of the UNet and of the schedule.
        dtype: Precision, by autocast below float32.
        schedule: The times at which `reconstruct` asks it.
        engine: Library that computes it (`engines`).
    """

    def __init__(
        self,
        weights: Weights,
        unet: Any,
        training: NDArray[np.float64],
        prompt: Tensor,
        latent_scale: float,
        device: torch.device,
        dtype: torch.dtype,
        inversion: Inversion,
        *,
        configs: tuple[Path, ...],
        predicts_velocity: bool,
        fast: bool = False,
    ) -> None:
        self.name = f"{weights.name}:unet"
        self.weights = weights
        self.configs = configs
        self.device = device
        self.dtype = dtype
        self._unet = unet.to(device).eval().requires_grad_(False)
        self.engine = use_fastest(unet) if fast else TORCH
        self._alpha_bar = np.cumprod(1 - training).tolist()
        self.schedule = respaced(training, inversion.steps)
        self._real_step = inversion.real_step
        self._prompt = prompt.to(device)
        self._latent_scale = latent_scale
        self._predicts_velocity = predicts_velocity

    def compile(self) -> None:
        """Compiles the network when it is first asked."""
        self._unet.compile()

    def noise_error(self, latents: Tensor, *, time: float, draws: int) -> Tensor:
        """Mean squared error of the predicted noise, mean over `draws` noises: (B,).

        Args:
            latents: (B, C, h, w) of the autoencoder.
            time: Between 0, no noise, and 1.
            draws: The noises are the same for every image of a size, and on every call.
        """
        t = round(time * len(self._alpha_bar))
        z = latents.float() * self._latent_scale
        return noise_error(self._predict, z, self._alpha_bar[t], t, draws=draws)

    def reconstruct(self, latents: Tensor) -> Tensor:
        """The latents (B, C, h, w) of the autoencoder, inverted to noise and sampled back by standard DDIM."""
        z = latents.float() * self._latent_scale
        noise = ddim_inversion(self._predict, z, self.schedule, steps=self._real_step)
        return ddim_sampling(self._predict, noise, self.schedule, steps=self._real_step) / self._latent_scale

    def _predict(self, z: Tensor, t: int) -> Tensor:
        """The noise in latents."""
        with autocast(self.device, self.dtype):
            prompt = self._prompt.expand(len(z), -1, -1)
            predicted: Tensor = self._unet(z, t, encoder_hidden_states=prompt).sample.float()
        if not self._predicts_velocity:
            return predicted
        alpha_bar = self._alpha_bar[t]
        eps: Tensor = alpha_bar**0.5 * predicted + (1 - alpha_bar) ** 0.5 * z
        return eps


def load_denoiser(
    model: str,
    latent_scale: float,
    device: torch.device,
    dtype: str = "auto",
    inversion: Inversion = Inversion(),  # noqa: B008 - frozen
) -> Denoiser:
    """Loads the noise predictor of a pipeline: a folder in diffusers' format, a hub id, or a row from such a pipeline.

    Args:
        model: The same name as for the autoencoder.
        latent_scale: The factor between the latents of the autoencoder and those of the UNet.
        device: Device to load to.
        dtype: ``"bfloat16"`` lowers the precision; anything else is float32, and ``"auto"`` by the fastest engine.
        inversion: Steps of `Denoiser.reconstruct`, and the prompt.

    Raises:
        WeightsError: A part is missing, or predicts neither noise nor velocity.
    """
    hide_broken_torchvision()
    import diffusers
    import transformers

    folders = {name: find_component(model, name, files) for name, files in _COMPONENTS.items()}
    options: dict[str, Any] = {"local_files_only": True}
    try:
        scheduler = diffusers.DDPMScheduler.from_pretrained(folders["scheduler"], **options)
        unet = diffusers.UNet2DConditionModel.from_pretrained(folders["unet"], use_safetensors=True, **options)
        tokenizer = transformers.CLIPTokenizer.from_pretrained(folders["tokenizer"], **options)
        with quiet_transformers():
            encoder = transformers.CLIPTextModel.from_pretrained(
                folders["text_encoder"], use_safetensors=True, **options
            )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise WeightsError(f"{model}: the diffusion model does not load: {error}") from error
    kind = scheduler.config.prediction_type
    if kind not in ("epsilon", "v_prediction"):
        raise WeightsError(f"{model}: predicts {kind!r}; expected a model that predicts noise or velocity")
    length = min(tokenizer.model_max_length, encoder.config.max_position_embeddings)
    tokens = tokenizer(
        inversion.prompt, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
    ).input_ids
    with torch.inference_mode():
        prompt = encoder.eval()(tokens).last_hidden_state
    origin = "folder" if folder_of(model).is_dir() else "hub"
    weights = Weights(model, folders["unet"], _UNET, origin, hub.sha256_of(folders["unet"] / _UNET))
    lowered = torch.bfloat16 if dtype == "bfloat16" else torch.float32
    return Denoiser(
        weights, unet, scheduler.betas.double().numpy(), prompt.clone(), latent_scale, device, lowered, inversion,
        configs=(folders["unet"] / "config.json", folders["scheduler"] / "scheduler_config.json"),
        predicts_velocity=kind == "v_prediction", fast=takes_engines(device, dtype),
    )  # fmt: skip
