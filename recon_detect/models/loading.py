"""Loading: from the names that bound methods ask for to networks on a device."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from recon_detect.errors import UsageError, WeightsError
from recon_detect.models.adapters import ADAPTERS
from recon_detect.models.autoencoders import Autoencoder
from recon_detect.models.backbones import Backbone, load_backbone
from recon_detect.models.denoisers import Denoiser, load_denoiser
from recon_detect.models.dire_classifier import DireClassifier
from recon_detect.models.engines import NCNN, takes_engines
from recon_detect.models.lpips import LPIPS, load_lpips
from recon_detect.models.needs import Need
from recon_detect.models.own import OwnReconstructor
from recon_detect.models.pixel_diffusion import DiffusionReconstructor, PixelDiffusion
from recon_detect.models.registry import AUTOENCODERS, MODELS
from recon_detect.models.sharing import share_equal_parts
from recon_detect.models.tiny import CLASS_NAME as TINY
from recon_detect.models.tiny import load_tiny
from recon_detect.models.torchvision_guard import hide_broken_torchvision
from recon_detect.models.weights import Weights, find_weights
from recon_detect.results import ModelInfo
from recon_detect.settings import DEFAULTS, Inversion, Settings
from recon_detect.tensors.devices import has_bfloat16

if TYPE_CHECKING:
    from recon_detect.methods.bound import BoundMethod
    from recon_detect.models.reconstructor import Reconstructor

    _Network = Reconstructor | Backbone | Denoiser | DireClassifier

log = logging.getLogger("recon_detect")

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, slots=True)
class Models:
    """The networks that evidence is computed with.

    Attributes:
        reconstructors: The autoencoders and diffusion models of pixels, in the order of the methods.
        distances: Names of the distances that may be asked for; the first is the default.
        lpips: The networks of these distances, by `LPIPS.net`.
        backbones: The networks that embed images.
        denoisers: The diffusion models of the autoencoders, by the autoencoder's name.
        classifier: A trained classifier of reconstruction errors.
    """

    reconstructors: tuple[Reconstructor, ...] = ()
    distances: tuple[str, ...] = ()
    lpips: Mapping[str, LPIPS] = field(default_factory=dict)
    backbones: tuple[Backbone, ...] = ()
    denoisers: Mapping[str, Denoiser] = field(default_factory=dict)
    classifier: DireClassifier | None = None

    @property
    def invert(self) -> bool:
        """True where one of them is a diffusion model, so that `Settings.inversion` decides scores."""
        return bool(self.denoisers) or any(isinstance(model, DiffusionReconstructor) for model in self.reconstructors)

    @property
    def side(self) -> int | None:
        """The side of images that all reconstructors were trained on and take alone; None if there is no such."""
        sides = {model.side for model in self.reconstructors}
        return sides.pop() if len(sides) == 1 else None

    def info(self) -> tuple[ModelInfo, ...]:
        """The description of each network but LPIPS, for `RunInfo`."""
        networks: list[_Network] = [*self.reconstructors, *self.backbones, *self.denoisers.values()]
        return tuple(map(_info, [*networks, self.classifier] if self.classifier else networks))


def load_models(
    methods: Sequence[BoundMethod], settings: Settings, device: torch.device, *, published: bool = False
) -> Models:
    """Loads the networks that some methods need, each once.

    Args:
        methods: Results of `bind`.
        settings: The precision, how far diffusion models invert, the classifier, and whether to compile.
        device: Device to load to.
        published: Convert the weights themselves to low precision, as the published AEROBLADE scripts do.

    Raises:
        UsageError: A method needs a classifier and none is named.
        WeightsError: Weights are missing or not what their checksum says.
    """
    if settings.dtype == "bfloat16" and not has_bfloat16(device):
        log.warning("this CPU has no bfloat16 and takes many times as long in it: leave dtype at 'auto'")
    classifier = _classifier(methods, settings, device)
    # All weights are found before any is loaded: missing ones are reported within a second.
    weights = {name: find_weights(name) for bound in methods for name in bound.models}
    embedding = _needed(methods, Need.BACKBONES)
    distances = tuple(dict.fromkeys(name for bound in methods for name in bound.distances))
    lpips = load_lpips(distances, device, _lpips_dtype(settings.dtype, published=published))
    reconstructors = tuple(
        load_reconstructor(of_model, device, settings.dtype, pure=published, inversion=settings.inversion)
        for name, of_model in weights.items()
        if name not in embedding
    )
    denoising = _needed(methods, Need.DENOISERS)
    if any(model.engine == NCNN for model in reconstructors):
        for perceptual in lpips.values():
            perceptual.use_ncnn()
    denoisers = {
        model.name: load_denoiser(model.name, model.latent_scale, device, settings.dtype, settings.inversion)
        for model in reconstructors
        if isinstance(model, Autoencoder) and model.name in denoising
    }
    diffusion: list[Reconstructor | Denoiser] = [*reconstructors, *denoisers.values()]
    for network in diffusion if settings.compile else ():
        network.compile()
    share_equal_parts(reconstructors)
    backbones = tuple(load_backbone(weights[name], device, settings.dtype) for name in embedding)
    return Models(reconstructors, distances, lpips, backbones, denoisers, classifier)


def _lpips_dtype(dtype: str, *, published: bool) -> torch.dtype:
    # float16 and "auto" leave LPIPS in float32: its features have been seen to fit into bfloat16 alone.
    return torch.bfloat16 if dtype == "bfloat16" and not published else torch.float32


def _classifier(methods: Sequence[BoundMethod], settings: Settings, device: torch.device) -> DireClassifier | None:
    needing = [bound.method.name for bound in methods if Need.CLASSIFIER in bound.method.needs]
    if not needing:
        return None
    if settings.classifier is None:
        raise UsageError(f"{needing[0]} needs a classifier: pass the folder that 'recon-detect convert' wrote")
    return DireClassifier(settings.classifier, device)


def _needed(methods: Sequence[BoundMethod], need: Need) -> list[str]:
    """Names of the models of the methods with a need."""
    return list(dict.fromkeys(name for bound in methods if need in bound.method.needs for name in bound.models))


def load_reconstructor(
    weights: Weights,
    device: torch.device,
    dtype: str = "auto",
    *,
    pure: bool = False,
    inversion: Inversion = DEFAULTS.inversion,
) -> Reconstructor:
    """Loads a reconstructor from a folder with ``config.json`` and safetensors; no network, no pickle, no remote code.

    Args:
        weights: Result of `find_weights`.
        device: Device to load to.
        dtype: ``"auto"``, ``"float32"``, ``"bfloat16"`` or ``"float16"``. On a CPU, auto is float32 by the engine that
            is fastest on this machine, and float32 is torch.
        pure: Convert the weights themselves instead of autocast, as the published scripts do.
        inversion: Inversion by a diffusion model of pixels.

    Raises:
        WeightsError: A class that is not an image autoencoder, or tensors that do not fit the configuration.
        UsageError: float16 for weights that overflow in it.
    """
    if weights.module:
        return OwnReconstructor(weights, weights.module, device, DTYPES.get(dtype, torch.float32))
    class_name = _class_name(weights)
    chosen = choose_dtype(weights.name, device, dtype, pure=pure)
    dtype_of_weights = chosen if pure else torch.float32
    fast = takes_engines(device, dtype) and not pure
    try:
        if class_name == PixelDiffusion.class_name:
            hide_broken_torchvision()
            diffusion = PixelDiffusion.from_pretrained(weights.folder, inversion=inversion)
            return DiffusionReconstructor(weights, diffusion, device, chosen, fast=fast)
        load = load_tiny if class_name == TINY else partial(_from_diffusers, class_name)
        module = load(weights, dtype_of_weights)
    except UsageError:
        raise
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise WeightsError(f"{weights.folder}: {class_name} does not load: {error}") from error
    return Autoencoder(weights, module, device, chosen, pure=pure, fast=fast)


def _from_diffusers(class_name: str, weights: Weights, dtype: torch.dtype) -> Any:
    """A module by diffusers' own class.

    Raises:
        ValueError: Weights are missing in the file.
    """
    hide_broken_torchvision()
    module_class = _find_class(class_name)
    with _quiet_diffusers():
        stored = {"variant": "fp16"} if ".fp16." in weights.filename else {}
        options = {"local_files_only": True, "use_safetensors": True, **stored}
        module = module_class.from_pretrained(weights.folder, torch_dtype=dtype, **options)
    if lacking := [name for name, weight in module.named_parameters() if weight.is_meta]:
        raise ValueError(f"{len(lacking)} weights are not in the file, such as {lacking[0]}")
    return module


def has_features(weights: Weights) -> bool:
    """True of a model whose encoder has features to compare images by (`Reconstructor.feature_map`)."""
    return not weights.module and _class_name(weights) == TINY


def _class_name(weights: Weights) -> str:
    if not weights.configs:
        return TINY
    path = weights.folder / "config.json"
    try:
        name = json.loads(path.read_text(encoding="utf-8")).get("_class_name")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{path}: not a diffusers configuration ({error})") from error
    classes = (*ADAPTERS, PixelDiffusion.class_name)
    if name not in classes:
        raise WeightsError(f"{path}: _class_name is {name!r}; expected one of {', '.join(classes)}")
    return str(name)


def _find_class(name: str) -> Any:
    import diffusers

    if name == "PaellaVQModel":  # not exported, and moved between versions
        try:
            from diffusers.pipelines.deprecated.wuerstchen.modeling_paella_vq_model import PaellaVQModel
        except ImportError:
            from diffusers.pipelines.wuerstchen.modeling_paella_vq_model import PaellaVQModel
        return PaellaVQModel
    if not hasattr(diffusers, name):
        raise WeightsError(f"diffusers {diffusers.__version__} has no {name}: pip install --upgrade diffusers")
    return getattr(diffusers, name)


def choose_dtype(name: str, device: torch.device, dtype: str, *, pure: bool = False) -> torch.dtype:
    """The precision of a model: the one asked for, or that of its registry row on a GPU for ``"auto"``.

    Raises:
        UsageError: An unknown precision, or float16 for weights that overflow in it.
    """
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


def _info(network: _Network) -> ModelInfo:
    weights = network.weights
    dtype = str(network.dtype).removeprefix("torch.")
    return ModelInfo(
        network.name,
        weights.sha256,
        weights.origin,
        weights.repo,
        weights.revision,
        dtype,
        _unregistered(weights, config_sum(network.configs)),
        getattr(network, "engine", "torch"),
    )


def _unregistered(weights: Weights, config_sha256: str) -> str | None:
    """The sum of a configuration, or None where the registry pins it: by its own sum, or by the hub's commit."""
    if weights.name not in MODELS:
        return config_sha256
    row = AUTOENCODERS.get(weights.name)
    registered = row.config_sha256 if row else None
    return config_sha256 if registered not in (None, config_sha256) and not weights.revision else None


def config_sum(paths: Iterable[Path]) -> str:
    """SHA-256 of configuration files as canonical JSON, without the version and the place that wrote them."""
    configs = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    content = [{name: value for name, value in config.items() if name not in _WRITER} for config in configs]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


_WRITER = ("_diffusers_version", "_name_or_path", "transformers_version")
