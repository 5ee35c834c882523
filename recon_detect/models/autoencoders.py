"""Pretrained autoencoders, loaded through diffusers' own classes: the weights of the VAE, never the whole pipeline."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from recon_detect.errors import UsageError, WeightsError
from recon_detect.models.pixel_diffusion import PixelDiffusion
from recon_detect.models.registry import AUTOENCODERS
from recon_detect.models.torchvision_guard import hide_broken_torchvision
from recon_detect.models.weights import Weights
from recon_detect.settings import Inversion
from recon_detect.tensors.devices import autocast, fast_layout
from recon_detect.tensors.filters import unit_difference
from recon_detect.tensors.tiling import TILE, is_large, tiled

if TYPE_CHECKING:
    from torch import Tensor

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, slots=True)
class _Adapter:
    """How a diffusers class encodes and decodes without sampling, quantising, tiling or rounding.

    `encode` gives latents, or the posterior where there is one. `halo` is the radius of the receptive field in pixels,
    rounded up to the factor, of networks that are convolutions alone and can be tiled. `features` are what the encoder
    has at half the resolution, where it compares images as LPIPS does, and `finish` makes latents of them.
    """

    encode: Callable[[Any, Tensor], Any]
    decode: Callable[[Any, Tensor], Tensor]
    factor: Callable[[Any], int]
    halo: Callable[[Any], int] | None = None
    features: Callable[[Any, Tensor], Tensor] | None = None
    finish: Callable[[Any, Tensor], Tensor] | None = None


def _halvings(key: str) -> Callable[[Any], int]:
    return lambda module: 2 ** (len(module.config[key]) - 1)


def _tiny_radius(config: Any) -> int:
    """Three 3x3 convolutions a block, one where the resolution changes, one at each end."""
    encoder = [3 * blocks * 2**level for level, blocks in enumerate(config["num_encoder_blocks"])]
    decoder = [3 * blocks * 2**level for level, blocks in enumerate(reversed(config["num_decoder_blocks"]))]
    changes = 1 << len(encoder)  # 1 + 2 + 4 + ..., and 1 at full resolution
    factor = 1 << (len(encoder) - 1)
    radius: int = max(sum(encoder), sum(decoder)) + changes + factor
    return math.ceil(radius / factor) * factor


def _tiny_features(config: Any) -> int:
    """How many layers it is to the second block at half the resolution, or the only one."""
    full, half, *_ = config["num_encoder_blocks"]
    return 1 + int(full) + 1 + min(int(half), 2)


_KL = _Adapter(
    lambda m, x: m.encode(x).latent_dist,
    lambda m, z: m.decode(z).sample,
    _halvings("block_out_channels"),
)
_ADAPTERS: dict[str, _Adapter] = {
    "AutoencoderKL": _KL,
    "AutoencoderKLFlux2": _KL,
    "AsymmetricAutoencoderKL": _Adapter(_KL.encode, _KL.decode, _halvings("down_block_out_channels")),
    # forward() would round the latents to 8 bits.
    "AutoencoderTiny": _Adapter(
        lambda m, x: m.encode(x).latents,
        lambda m, z: m.decode(z).sample,
        _halvings("encoder_block_out_channels"),
        lambda m: _tiny_radius(m.config),
        lambda m, x: m.encoder.layers[: _tiny_features(m.config)]((x + 1) / 2),
        lambda m, f: m.encoder.layers[_tiny_features(m.config) :](f),
    ),
    "VQModel": _Adapter(
        lambda m, x: m.encode(x).latents,
        lambda m, z: m.decode(z, force_not_quantize=True).sample,
        _halvings("block_out_channels"),
    ),
    "AutoencoderDC": _Adapter(
        lambda m, x: m.encode(x).latent,
        lambda m, z: m.decode(z).sample,
        lambda m: int(m.spatial_compression_ratio),
    ),
    # A video autoencoder: one frame.
    "AutoencoderKLQwenImage": _Adapter(
        lambda m, x: m.encode(x[:, :, None]).latent_dist,
        lambda m, z: m.decode(z).sample[:, :, 0],
        lambda m: 2 ** len(m.config["temperal_downsample"]),
    ),
    # Works on [0, 1].
    "PaellaVQModel": _Adapter(
        lambda m, x: m.encode((x + 1) / 2).latents,
        lambda m, z: m.decode(z, force_not_quantize=True).sample * 2 - 1,
        lambda m: int(m.config["up_down_scale_factor"]) * 2 ** (int(m.config["levels"]) - 1),
    ),
    # A diffusion model of pixels: what it inverts an image to is the latent.
    "UNet2DModel": _Adapter(
        lambda m, x: m.invert(x),
        lambda m, z: m.sample(z),
        _halvings("block_out_channels"),
    ),
}


class Autoencoder:
    """A pretrained autoencoder on a device.

    Attributes:
        name: Row name, folder or hub id.
        weights: Where the weights came from.
        factor: Pixels per latent position; `encode` takes sides that are multiples of it.
        dtype: Precision of the convolutions. Below float32, weights stay in float32 and autocast lowers the rest,
            so that a float32 retry needs no second copy.
        encoder_key: Equal for autoencoders with equal encoder tensors; likewise `key` for equal autoencoders.
    """

    def __init__(self, weights: Weights, module: Any, device: torch.device, dtype: torch.dtype, *, pure: bool) -> None:
        self.name = weights.name
        self.weights = weights
        self.device = device
        self.dtype = dtype
        self._adapter = _ADAPTERS[getattr(module, "class_name", type(module).__name__)]
        self._pure = pure and dtype != torch.float32
        self._module = module.to(device).eval().requires_grad_(False)
        for parameter in self._module.parameters():
            parameter.data = parameter.data.contiguous(memory_format=fast_layout(parameter))
        for part in self._module.modules():
            if isinstance(part, torch.nn.ReLU):
                part.inplace = True  # a tenth of the time of a tiny one goes into fresh memory for what it returns
        self.factor = self._adapter.factor(module)
        self._halo = self._adapter.halo(module) if self._adapter.halo else None
        # Of a diffusion model of pixels: the side of the images that it was trained on.
        self.trained_side: int | None = module.config["sample_size"] if isinstance(module, PixelDiffusion) else None
        # What latents are multiplied by before a diffusion model sees them.
        self.latent_scale = float(module.config.get("scaling_factor") or 1)
        self.encoder_key = f"{self.name}:{weights.sha256}:encoder"
        self.key = f"{self.name}:{weights.sha256}"

    @property
    def tiled(self) -> bool:
        """Whether large images are computed in tiles, with the result of the whole image."""
        return self._halo is not None

    @property
    def low_precision(self) -> bool:
        """Whether a reconstruction may be tried again in float32."""
        return self.dtype != torch.float32

    def encode(
        self, x: Tensor, noise: Callable[[tuple[int, ...]], Tensor] | None = None, *, precise: bool = False
    ) -> Tensor:
        """Latents of (B, 3, H, W) in [-1, 1]; H and W are multiples of `factor`.

        Args:
            x: Images.
            noise: Gives the posterior noise of a shape (B, C, h, w); None takes the mode.
            precise: Compute in float32 whatever `dtype` says.
        """
        with self._precision(precise):
            if self._halo is not None and is_large(x):
                return self._in_tiles(self._adapter.encode, x, 1, lambda position: position // self.factor)
            posterior = self._adapter.encode(self._module, self._cast(x))
            if isinstance(posterior, torch.Tensor):
                return posterior
            if noise is None:
                mode: Tensor = posterior.mode()
                return mode
            mean = posterior.mean
            sample: Tensor = mean + posterior.std * noise(tuple(mean.shape)).to(mean)
            return sample

    def decode(self, z: Tensor, *, precise: bool = False) -> Tensor:
        """Images in [-1, 1] (not clamped), from latents of `encode`."""
        with self._precision(precise):
            if self._halo is not None and is_large(z, self.factor):
                return self._in_tiles(self._adapter.decode, z, self.factor, lambda position: position * self.factor)
            return self._adapter.decode(self._module, self._cast(z))

    def encode_features(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """What `encode` gives, and `seen` of `feature_difference`; None of others, and of what is computed in tiles."""
        features, finish = self._adapter.features, self._adapter.finish
        if features is None or finish is None or is_large(x):
            return self.encode(x), None
        with self._precision(precise=False):
            seen = features(self._module, self._cast(x))
            return finish(self._module, seen), seen

    def feature_difference(self, x: Tensor, y: Tensor, seen: Tensor | None = None) -> Tensor:
        """How far apart two images (B, 3, H, W) are in what the encoder sees at half the resolution: (B, 1, H/2, W/2).

        `seen` is what `encode_features` gave for x, if it was asked.

        Raises:
            UsageError: Only tiny autoencoders are looked into.
        """
        features, halo = self._adapter.features, self._halo
        if features is None or halo is None:
            raise UsageError(
                f"{self.name}: the distance encoder_features is that of tiny autoencoders (AutoencoderTiny); "
                "use another, such as lpips_vgg_2"
            )

        def difference(x: Tensor, y: Tensor) -> list[Tensor]:
            return [unit_difference(*(features(self._module, self._cast(image)) for image in (x, y)))]

        with self._precision(precise=False):
            if seen is not None:
                return unit_difference(seen, features(self._module, self._cast(y)))
            if is_large(x):
                return tiled(difference, [x, y], [lambda position: position // 2], tile=TILE, halo=halo)[0]
            return difference(x, y)[0]

    def compile(self) -> None:
        """Compiles the network of a diffusion model of pixels when it is first asked; leaves autoencoders alone."""
        if self.trained_side:
            self._module.compile()

    def step_error(self, x: Tensor, step: int) -> Tensor:
        """Mean square (B,) of what one step of a diffusion model of pixels changes there and back.

        Raises:
            UsageError: An autoencoder has no steps.
        """
        return self._of_pixels("step_error", x, step=step)

    def noise_error(self, x: Tensor, *, time: float, draws: int) -> Tensor:
        """Mean squared error (B,) of the noise that a diffusion model of pixels predicts; see `inversion.noise_error`.

        Raises:
            UsageError: An autoencoder predicts no noise.
        """
        return self._of_pixels("noise_error", x, time=time, draws=draws)

    def _of_pixels(self, name: str, x: Tensor, **arguments: Any) -> Tensor:
        if self.trained_side is None:
            raise UsageError(
                f"{self.name} is an autoencoder; this method needs a diffusion model of pixels (UNet2DModel)"
            )
        with self._precision(precise=False):
            error: Tensor = getattr(self._module, name)(x, **arguments)
            return error

    def _in_tiles(
        self, function: Callable[[Any, Tensor], Tensor], x: Tensor, unit: int, scale: Callable[[int], int]
    ) -> Tensor:
        """Encodes or decodes tile by tile; a position in `x` is `unit` pixels wide."""
        assert self._halo is not None
        tile, halo = TILE // unit, self._halo // unit
        return tiled(lambda part: [function(self._module, self._cast(part))], [x], [scale], tile=tile, halo=halo)[0]

    def _cast(self, x: Tensor) -> Tensor:
        return x.to(dtype=self.dtype if self._pure else torch.float32, memory_format=fast_layout(x))

    @contextmanager
    def _precision(self, precise: bool) -> Iterator[None]:
        """Lowers the precision by autocast, or lifts pure low-precision weights to float32 for one retry."""
        if self._pure and precise:
            self._module.float()
            self._pure = False
            try:
                yield
            finally:
                self._pure = True
                self._module.to(self.dtype)
            return
        low = self.low_precision and not precise and not self._pure
        with autocast(self.device, self.dtype if low else torch.float32):
            yield


def load_autoencoder(
    weights: Weights,
    device: torch.device,
    dtype: str = "auto",
    *,
    pure: bool = False,
    inversion: Inversion = Inversion(),  # noqa: B008 - frozen
) -> Autoencoder:
    """Loads an autoencoder from a folder with ``config.json`` and safetensors; no network, no pickle, no remote code.

    Args:
        weights: From `find_weights`.
        device: Where to put it.
        dtype: ``"auto"``, ``"float32"``, ``"bfloat16"`` or ``"float16"``.
        pure: Convert the weights themselves instead of autocast, as the published scripts do.
        inversion: Of a diffusion model of pixels.

    Raises:
        WeightsError: A class that is not an image autoencoder, or tensors that do not fit the configuration.
        UsageError: float16 for weights that overflow in it.
    """
    hide_broken_torchvision()
    class_name = _class_name(weights)
    module_class = _find_class(class_name)
    chosen = _choose_dtype(weights.name, device, dtype, pure=pure)
    variant = "fp16" if ".fp16." in weights.filename else None
    try:
        with _quiet_diffusers():
            module = module_class.from_pretrained(
                weights.folder,
                local_files_only=True,
                use_safetensors=True,
                torch_dtype=chosen if pure else torch.float32,
                variant=variant,
                **({"inversion": inversion} if module_class is PixelDiffusion else {}),
            )
    except UsageError:
        raise
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise WeightsError(f"{weights.folder}: {class_name} does not load: {error}") from error
    return Autoencoder(weights, module, device, chosen, pure=pure)


def share_equal_parts(autoencoders: list[Autoencoder]) -> None:
    """Gives equal keys to encoders, and to whole autoencoders, with equal tensors, so that they are run once.

    Stable Diffusion 1 and 2, for example, have the same encoder and different decoders.
    """
    if len(autoencoders) < 2:
        return
    for autoencoder in autoencoders:
        encoder, decoder = hashlib.sha256(), hashlib.sha256()
        for name, tensor in sorted(autoencoder._module.state_dict().items()):
            # A diffusion model inverts with all of its tensors.
            encodes = name.startswith(("encoder.", "quant_conv.", "in_block.", "down_blocks.", "unet."))
            digest = encoder if encodes else decoder
            digest.update(f"{name}{tuple(tensor.shape)}".encode())
            digest.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        same = f"{type(autoencoder._module).__name__}:{autoencoder.dtype}"
        autoencoder.encoder_key = f"{same}:{encoder.hexdigest()}"
        autoencoder.key = f"{autoencoder.encoder_key}:{decoder.hexdigest()}"


def _class_name(weights: Weights) -> str:
    path = weights.folder / "config.json"
    try:
        name = json.loads(path.read_text(encoding="utf-8")).get("_class_name")
    except (OSError, ValueError, AttributeError) as error:
        raise WeightsError(f"{path}: not a diffusers configuration ({error})") from error
    if name not in _ADAPTERS:
        raise WeightsError(f"{path}: _class_name is {name!r}; expected one of {', '.join(_ADAPTERS)}")
    return str(name)


def _find_class(name: str) -> Any:
    import diffusers

    if name == PixelDiffusion.class_name:
        return PixelDiffusion
    if name == "PaellaVQModel":  # not exported, and moved between versions
        try:
            from diffusers.pipelines.deprecated.wuerstchen.modeling_paella_vq_model import PaellaVQModel
        except ImportError:
            from diffusers.pipelines.wuerstchen.modeling_paella_vq_model import PaellaVQModel
        return PaellaVQModel
    if not hasattr(diffusers, name):
        raise WeightsError(f"diffusers {diffusers.__version__} has no {name}: pip install --upgrade diffusers")
    return getattr(diffusers, name)


def _choose_dtype(name: str, device: torch.device, dtype: str, *, pure: bool = False) -> torch.dtype:
    row = AUTOENCODERS.get(name)
    policy = row.low_precision if row else "bfloat16"
    if dtype == "auto" and pure:
        # The published scripts: float16 on a GPU (they know no CPU), and float32 for what overflows in it.
        overflows = row is not None and policy != "float16"
        return torch.float32 if overflows or device.type != "cuda" else torch.float16
    if dtype == "auto":
        return DTYPES[policy] if device.type == "cuda" else torch.float32
    if dtype not in DTYPES:
        raise UsageError(f"unknown dtype {dtype!r}; known: auto, {', '.join(DTYPES)}")
    if dtype == "float16" and row and row.low_precision != "float16":
        raise UsageError(f"{name} overflows in float16; use dtype='{policy}' or 'float32', or the model sdxl-fp16-fix")
    return DTYPES[dtype]


@contextmanager
def _quiet_diffusers() -> Iterator[None]:
    """Keeps diffusers from warning of configuration entries of other versions; errors still come through."""
    from diffusers.utils import logging as diffusers_logging

    before = diffusers_logging.get_verbosity()
    diffusers_logging.set_verbosity_error()
    try:
        yield
    finally:
        diffusers_logging.set_verbosity(before)
