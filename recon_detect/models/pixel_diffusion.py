"""Diffusion models of pixels as reconstructors: inversion in place of an encoder, sampling in place of a decoder."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from recon_detect.models.adapters import halvings
from recon_detect.models.engines import use_fastest
from recon_detect.models.inversion import betas, dire_inversion, dire_sampling, noise_error, respaced, step_error
from recon_detect.models.reconstructor import Reconstructor
from recon_detect.settings import Inversion

if TYPE_CHECKING:
    from torch import Tensor

    from recon_detect.models.weights import Weights

WEIGHTS = "diffusion_pytorch_model.safetensors"
SCHEDULER = "scheduler_config.json"


class PixelDiffusion(torch.nn.Module):
    """A UNet2DModel with its schedule, as DIRE uses it: N evaluations to noise, N back.

    Attributes:
        class_name: Class of the network in diffusers.
        unet: The network.
        schedule: The times at which it is asked.
        alpha_bar: Cumulated alphas of the training schedule.
        real_step: Number of the first times to use; 0 uses all.
        config: Configuration of the network, as in diffusers.
    """

    class_name = "UNet2DModel"

    def __init__(
        self,
        unet: Any,
        training: np.ndarray[Any, np.dtype[np.float64]],
        inversion: Inversion = Inversion(),  # noqa: B008
    ) -> None:
        super().__init__()
        self.unet = unet
        self.schedule = respaced(training, inversion.steps)
        self.alpha_bar: list[float] = np.cumprod(1 - training).tolist()
        self.real_step = inversion.real_step
        self.config = unet.config

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        *,
        inversion: Inversion = Inversion(),  # noqa: B008 - frozen
        **_: Any,
    ) -> PixelDiffusion:
        """Reads a folder in diffusers' format: ``config.json``, ``scheduler_config.json``, safetensors.

        Args:
            folder: The folder; the configuration of the schedule may also be in ``scheduler`` beside it.
            inversion: How far it inverts.

        Raises:
            OSError: A file is missing.
            ValueError: Not what diffusers writes for a model that predicts noise, or tensors that do not fit it.
        """
        from safetensors.torch import load_file

        folder = Path(folder)
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        unet = build_unet(config)
        state = load_file(folder / WEIGHTS)
        check_shapes(unet, state)
        # Load in float32, whatever the file has: autocast alone lowers the precision.
        unet.load_state_dict(state)
        return cls(unet, _training_betas(folder), inversion)

    def compile(self, *_: Any, **__: Any) -> None:
        """Compiles the network when it is first asked; the loop around it is Python."""
        self.unet.compile()

    def invert(self, x: Tensor) -> Tensor:
        """Noise (B, 3, H, W) of images in [-1, 1]."""
        return dire_inversion(self.predict, x, self.schedule, steps=self.real_step)

    def sample(self, z: Tensor) -> Tensor:
        """Images in [-1, 1] of noise."""
        return dire_sampling(self.predict, z, self.schedule, steps=self.real_step)

    def step_error(self, x: Tensor, step: int) -> Tensor:
        """Mean square (B,) of what one step there and back changes, after `step` steps of inversion."""
        return step_error(self.predict, x, self.schedule, step=step)

    def noise_error(self, x: Tensor, *, time: float, draws: int) -> Tensor:
        """Mean squared error (B,) of the predicted noise, `time` between 0, no noise, and 1; see `inversion`."""
        t = round(time * len(self.alpha_bar))
        return noise_error(self.predict, x, self.alpha_bar[t], t, draws=draws)

    def predict(self, x: Tensor, time: int) -> Tensor:
        """The noise in (B, 3, H, W) at a time of the training schedule. A learned variance is left out.

        A class-conditional model is asked for class 0, as there is no image of no class for it.
        """
        labels = None
        if self.unet.class_embedding is not None:
            labels = torch.zeros(len(x), dtype=torch.long, device=x.device)
        eps: Tensor = self.unet(x, time, class_labels=labels).sample[:, : x.shape[1]]
        return eps.float()


class DiffusionReconstructor(Reconstructor):
    """A diffusion model of pixels on a device, whose latent is the noise that it inverts an image to.

    Attributes as of `Reconstructor`; `side` is that of the images that it was trained on.

    Args:
        weights: Source of the weights.
        module: The network with its schedule.
        device: Device to compute on.
        dtype: See `Reconstructor`.
        fast: Let the engine that was chosen for this machine compute it (`engines`), in float32 on a CPU.
    """

    def __init__(
        self,
        weights: Weights,
        module: PixelDiffusion,
        device: torch.device,
        dtype: torch.dtype,
        *,
        fast: bool = False,
    ) -> None:
        super().__init__(weights, module, device, dtype)
        if fast:
            self.engine = use_fastest(module)
        self.configs = (*self.configs, schedule_file(weights.folder))
        self.factor = halvings("block_out_channels")(module)
        self.side = module.config["sample_size"]

    def encode(
        self, x: Tensor, noise: Callable[[tuple[int, ...]], Tensor] | None = None, *, precise: bool = False
    ) -> Tensor:
        """Noise (B, 3, H, W) that images are inverted to; there is no posterior."""
        with self._precision(precise):
            latents: Tensor = self._module.invert(self._cast(x))
            return latents

    def decode(self, z: Tensor, *, precise: bool = False) -> Tensor:
        """Images in [-1, 1] that are sampled from noise."""
        with self._precision(precise):
            images: Tensor = self._module.sample(self._cast(z))
            return images

    def compile(self) -> None:
        """Compiles the network when it is first asked."""
        self._module.compile()

    def step_error(self, x: Tensor, step: int) -> Tensor:
        """Mean square (B,) of what one step changes there and back; see `inversion.step_error`."""
        with self._precision(precise=False):
            error: Tensor = self._module.step_error(x, step=step)
            return error

    def noise_error(self, x: Tensor, *, time: float, draws: int) -> Tensor:
        """Mean squared error (B,) of the predicted noise; see `inversion.noise_error`."""
        with self._precision(precise=False):
            error: Tensor = self._module.noise_error(x, time=time, draws=draws)
            return error


def build_unet(config: Mapping[str, Any]) -> Any:
    """A UNet2DModel of random weights from its configuration, with what `guided_diffusion` adds to it."""
    from diffusers import UNet2DModel
    from diffusers.models.embeddings import TimestepEmbedding, Timesteps

    parameters = inspect.signature(UNet2DModel.__init__).parameters
    unet = UNet2DModel(**{name: value for name, value in config.items() if name in parameters})
    if channels := config.get("time_channels"):
        unet.time_proj = Timesteps(channels, flip_sin_to_cos=config["flip_sin_to_cos"], downscale_freq_shift=0)
        unet.time_embedding = TimestepEmbedding(channels, config["time_embedding_dim"])
    if heads := config.get("attention_heads"):
        for module in unet.modules():
            if type(module).__name__ == "Attention":
                module.heads = heads
                module.scale = (module.inner_dim // heads) ** -0.5
    return unet


def check_shapes(unet: Any, state: Mapping[str, Tensor]) -> None:
    """Checks that the tensors are those of a network.

    Raises:
        ValueError: Some are missing, are too many, or have other shapes.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in unet.state_dict().items()}
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    if different := sorted(name for name in expected.keys() | shapes.keys() if expected.get(name) != shapes.get(name)):
        first = different[0]
        raise ValueError(
            f"{len(different)} tensors do not fit the configuration, such as {first}: expected "
            f"{expected.get(first, 'none')}, got {shapes.get(first, 'none')}"
        )


def schedule_file(folder: Path) -> Path:
    """The configuration of the schedule: in the folder of the network, or in ``scheduler`` beside it."""
    places = [folder / SCHEDULER, folder.parent / "scheduler" / SCHEDULER]
    return next((path for path in places if path.is_file()), places[0])


def _training_betas(folder: Path) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The betas of the training schedule."""
    path = schedule_file(folder)
    config = json.loads(path.read_text(encoding="utf-8"))
    if (kind := config.get("prediction_type", "epsilon")) != "epsilon":
        raise ValueError(f"{path}: predicts {kind!r}; expected a model that predicts noise (epsilon)")
    name, steps = config.get("beta_schedule", "linear"), config.get("num_train_timesteps", 1000)
    if name == "squaredcos_cap_v2":
        return betas("cosine", steps)
    if name != "linear":
        raise ValueError(f"{path}: beta_schedule is {name!r}; expected linear or squaredcos_cap_v2")
    return np.linspace(config.get("beta_start", 1e-4), config.get("beta_end", 2e-2), steps, dtype=np.float64)
