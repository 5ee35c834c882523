"""Checkpoints of OpenAI's guided-diffusion as diffusers' UNet2DModel.

The architecture is read from the names and shapes of the tensors. What they do not determine (heads of attention, the
order of queries, keys and values, the size that the model was trained at, the schedule) is given, with the values of
the published models as defaults.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recon_detect.atomic import replacing
from recon_detect.errors import UsageError, WeightsError
from recon_detect.models.checkpoints import read_pickled
from recon_detect.models.pixel_diffusion import SCHEDULER, WEIGHTS, build_unet, check_shapes

if TYPE_CHECKING:
    from torch import Tensor

    StateDict = Mapping[str, Tensor]

# Tensors of a residual block and of an attention block: guided-diffusion's names, diffusers' names.
_RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
_ATTENTION = {"norm": "group_norm", "proj_out": "to_out.0"}
_OUTSIDE = {
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "input_blocks.0.0": "conv_in",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}


@dataclass(frozen=True, slots=True)
class Heads:
    """Attention: the channels of each head (``num_head_channels``), or the number of heads (``num_heads``).

    Attributes:
        channels: None where the number is given.
        number: None where the channels are given.
        new_order: Queries, keys and values come one after the other, each of all heads, not head by head
            (``use_new_attention_order``).
    """

    channels: int | None = 64
    number: int | None = None
    new_order: bool = False

    def split(self, tensor: Tensor) -> dict[str, Tensor]:
        """Queries, keys and values (3 C, C, 1) or (3 C,) as three of (C, C) or (C,).

        Raises:
            UsageError: The heads do not fit the channels.
        """
        flat = tensor.squeeze(-1) if tensor.ndim == 3 else tensor
        channels = len(flat) // 3
        width = self.channels or channels // (self.number or 1)
        if not width or channels % width:
            raise UsageError(
                f"{channels} channels of attention do not divide into heads of {width}; pass the num_head_channels or "
                "num_heads that the model was trained with"
            )
        if not self.new_order:
            # Head by head, (heads, 3, width): to (3, heads, width).
            flat = flat.reshape(-1, 3, width, *flat.shape[1:]).transpose(0, 1).reshape(flat.shape)
        return dict(zip(("to_q", "to_k", "to_v"), flat.chunk(3), strict=True))


@dataclass(frozen=True, slots=True)
class Architecture:
    """A guided-diffusion UNet.

    Attributes:
        channels: Channels of the embedding of the time (``num_channels``).
        level_channels: Channels of each level, from full resolution down.
        attention: True for each level with attention.
        blocks: Residual blocks per level (``num_res_blocks``).
        in_channels: Channels of images.
        out_channels: Twice as many where the variance is learned.
        classes: Number of classes; None of an unconditional model.
        scale_shift: True if the embedding of the time scales as well as shifts (``use_scale_shift_norm``).
        resblock_updown: True if residual blocks change the resolution; else convolutions do.
    """

    channels: int
    level_channels: tuple[int, ...]
    attention: tuple[bool, ...]
    blocks: int
    in_channels: int
    out_channels: int
    classes: int | None
    scale_shift: bool
    resblock_updown: bool

    @classmethod
    def infer(cls, state: StateDict) -> Architecture:
        """Reads the architecture off a state dict.

        Raises:
            WeightsError: Not a state dict of a guided-diffusion UNet.
        """
        try:
            return cls._infer(state)
        except (KeyError, IndexError, StopIteration) as error:
            some = ", ".join(list(state)[:3])
            raise WeightsError(
                f"not a UNet of guided-diffusion: {error} is missing; its tensors are named like "
                f"input_blocks.0.0.weight, these like {some}"
            ) from error

    @classmethod
    def _infer(cls, state: StateDict) -> Architecture:
        outputs = _count(state, "output_blocks")
        # An output block that ends with a change of resolution is the last of its level.
        ups = {j: kind for j in range(outputs) if (kind := _upsampling(state, j))}
        blocks = min(ups, default=outputs - 1)
        levels = outputs // (blocks + 1)
        firsts = [1 + level * (blocks + 1) for level in range(levels)]
        if outputs % (blocks + 1) or _count(state, "input_blocks") != levels * (blocks + 1):
            raise WeightsError(f"{outputs} output blocks with {len(ups)} changes of resolution fit no architecture")
        hidden = state["input_blocks.1.0.out_layers.3.weight"].shape[0]
        return cls(
            channels=state["time_embed.0.weight"].shape[1],
            level_channels=tuple(int(state[f"input_blocks.{i}.0.out_layers.3.weight"].shape[0]) for i in firsts),
            attention=tuple(f"input_blocks.{i}.1.qkv.weight" in state for i in firsts),
            blocks=blocks,
            in_channels=state["input_blocks.0.0.weight"].shape[1],
            out_channels=state["out.2.weight"].shape[0],
            classes=state["label_emb.weight"].shape[0] if "label_emb.weight" in state else None,
            scale_shift=state["input_blocks.1.0.emb_layers.1.weight"].shape[0] == 2 * hidden,
            resblock_updown=next(iter(ups.values()), "conv") == "resnet",
        )

    def config(self, *, image_size: int, heads: Heads) -> dict[str, Any]:
        """The configuration of a `UNet2DModel`, and under two names of our own what that class lacks.

        ``time_channels`` is there where the embedding of the time is not as wide as the first level (the model of
        512 px), ``attention_heads`` where their number, not their width, is the same everywhere (128 px).
        """
        plain = "ResnetDownsampleBlock2D" if self.resblock_updown else "DownBlock2D"
        down = tuple("AttnDownBlock2D" if attends else plain for attends in self.attention)
        plain = "ResnetUpsampleBlock2D" if self.resblock_updown else "UpBlock2D"
        up = tuple("AttnUpBlock2D" if attends else plain for attends in reversed(self.attention))
        resize = "resnet" if self.resblock_updown else "conv"
        lacking = {}
        if self.channels != self.level_channels[0]:
            lacking["time_channels"] = self.channels
        if heads.number is not None:
            lacking["attention_heads"] = heads.number
        return lacking | {
            "_class_name": "UNet2DModel",
            "sample_size": image_size,
            "in_channels": self.in_channels,
            "out_channels": self.out_channels,
            "block_out_channels": self.level_channels,
            "layers_per_block": self.blocks,
            "down_block_types": down,
            "up_block_types": up,
            "downsample_type": resize,
            "upsample_type": resize,
            "attention_head_dim": heads.channels,
            "resnet_time_scale_shift": "scale_shift" if self.scale_shift else "default",
            "time_embedding_dim": 4 * self.channels,
            "num_class_embeds": self.classes,
            # Without it, the middle block of diffusers leaves out the normalisation of its attention.
            "attn_norm_num_groups": 32,
            "flip_sin_to_cos": True,
            "freq_shift": 0,
        }


def _count(state: StateDict, name: str) -> int:
    numbers = {int(match[1]) for key in state if (match := re.match(rf"{name}\.(\d+)\.", key))}
    if not numbers:
        raise KeyError(f"{name}.0.0.weight")
    return max(numbers) + 1


def _upsampling(state: StateDict, j: int) -> str | None:
    """Kind of layer by which an output block enlarges, if it does."""
    for part in (1, 2):
        if f"output_blocks.{j}.{part}.conv.weight" in state:
            return "conv"
        if f"output_blocks.{j}.{part}.in_layers.0.weight" in state:
            return "resnet"
    return None


def renamed(state: StateDict, architecture: Architecture, heads: Heads) -> dict[str, Tensor]:
    """The tensors under diffusers' names. Every tensor is placed.

    Raises:
        WeightsError: Some tensors have no place.
    """
    modules = _modules(architecture)
    placed: dict[str, Tensor] = {}
    left = []
    for key, tensor in state.items():
        if key == "label_emb.weight":
            placed["class_embedding.weight"] = tensor
            continue
        module, _, kind = key.rpartition(".")
        prefix = next((name for name in _parents(module) if name in modules), None)
        inner = module[len(prefix) + 1 :] if prefix is not None else ""
        if prefix is None:
            left.append(key)
        elif inner == "qkv":
            placed |= {f"{modules[prefix]}.{name}.{kind}": part for name, part in heads.split(tensor).items()}
        elif inner in _ATTENTION:
            flat = tensor.squeeze(-1) if tensor.ndim == 3 else tensor
            placed[f"{modules[prefix]}.{_ATTENTION[inner]}.{kind}"] = flat
        elif inner in _RESNET:
            placed[f"{modules[prefix]}.{_RESNET[inner]}.{kind}"] = tensor
        elif not inner or inner in ("op", "conv"):
            placed[f"{modules[prefix]}{'.conv' if inner else ''}.{kind}"] = tensor
        else:
            left.append(key)
    if left:
        raise WeightsError(
            f"{len(left)} tensors have no place in diffusers' UNet2DModel, such as {', '.join(left[:3])}"
        )
    return placed


def _parents(module: str) -> list[str]:
    """The module and all that it is in, the innermost first."""
    parts = module.split(".")
    return [".".join(parts[:length]) for length in range(len(parts), 0, -1)]


def _modules(architecture: Architecture) -> dict[str, str]:
    """guided-diffusion's modules and diffusers'."""
    names = dict(_OUTSIDE)
    blocks, levels = architecture.blocks, len(architecture.level_channels)
    for level in range(levels):
        down, up = f"down_blocks.{level}", f"up_blocks.{levels - 1 - level}"
        for number in range(blocks):
            index = 1 + level * (blocks + 1) + number
            names[f"input_blocks.{index}.0"] = f"{down}.resnets.{number}"
            names[f"input_blocks.{index}.1"] = f"{down}.attentions.{number}"
        if level < levels - 1:
            names[f"input_blocks.{(level + 1) * (blocks + 1)}.0"] = f"{down}.downsamplers.0"
        for number in range(blocks + 1):
            index = (levels - 1 - level) * (blocks + 1) + number
            names[f"output_blocks.{index}.0"] = f"{up}.resnets.{number}"
            if architecture.attention[level]:
                names[f"output_blocks.{index}.1"] = f"{up}.attentions.{number}"
        if level:
            last = f"output_blocks.{(levels - level) * (blocks + 1) - 1}"
            names[f"{last}.{2 if architecture.attention[level] else 1}"] = f"{up}.upsamplers.0"
    for index, part in enumerate(("resnets.0", "attentions.0", "resnets.1")):
        names[f"middle_block.{index}"] = f"mid_block.{part}"
    return names


# The multiples of channels that guided-diffusion takes for each size when none are given.
_SIZES = {
    (1, 2, 4, 4, 8, 8, 16, 16): 1024,
    (0.5, 1, 1, 2, 2, 4, 4): 512,
    (1, 1, 2, 2, 4, 4): 256,
    (1, 1, 2, 3, 4): 128,
    (1, 2, 3, 4): 64,
}


def usual_size(architecture: Architecture) -> int | None:
    """The size in pixels that the architecture is the default of, if it is of one."""
    return _SIZES.get(tuple(channels / architecture.channels for channels in architecture.level_channels))


def convert(
    checkpoint: Path,
    output: Path,
    *,
    heads: Heads | None = None,
    image_size: int | None = None,
    noise_schedule: str = "linear",
    diffusion_steps: int = 1000,
) -> Architecture:
    """Writes a checkpoint of guided-diffusion as a folder in diffusers' format, with safetensors.

    Args:
        checkpoint: The ``.pt`` file; read with ``weights_only=True``.
        output: The folder; its files are replaced one by one, the weights first.
        heads: Heads of attention; by default 64 channels, old order, as in all published models but that of 128 px.
        image_size: Size that the model was trained at; None takes the usual one of the architecture.
        noise_schedule: ``"linear"`` or ``"cosine"``.
        diffusion_steps: Steps of the training schedule.

    Raises:
        WeightsError: Not a checkpoint of guided-diffusion, or not all of it can be placed.
        UsageError: Options that the checkpoint contradicts, or no `image_size` where it is needed.
    """
    from safetensors.torch import save_file

    heads = heads or Heads()
    state = read_checkpoint(checkpoint)
    architecture = Architecture.infer(state)
    size = image_size or usual_size(architecture)
    if size is None:
        raise UsageError(
            f"{checkpoint}: channels {architecture.level_channels} are those of no published size: pass it"
        )
    if noise_schedule not in _SCHEDULES:
        raise UsageError(f"unknown noise schedule {noise_schedule!r}; known: {', '.join(_SCHEDULES)}")
    config = architecture.config(image_size=size, heads=heads)
    placed = renamed(state, architecture, heads)
    _check(placed, config)
    scheduler = {
        "_class_name": "DDIMScheduler",
        "num_train_timesteps": diffusion_steps,
        "beta_schedule": _SCHEDULES[noise_schedule],
        "beta_start": 1e-4 * 1000 / diffusion_steps,
        "beta_end": 2e-2 * 1000 / diffusion_steps,
        "prediction_type": "epsilon",
        "clip_sample": True,
    }
    output.mkdir(parents=True, exist_ok=True)
    with replacing(output / WEIGHTS) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in placed.items()}, temporary)
    for name, content in (("config.json", config), (SCHEDULER, scheduler)):
        with replacing(output / name) as temporary:
            temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return architecture


_SCHEDULES = {"linear": "linear", "cosine": "squaredcos_cap_v2"}


def read_checkpoint(checkpoint: Path, *, under: str | None = None) -> StateDict:
    """The tensors of a pickled checkpoint; nothing else is read from it.

    Args:
        checkpoint: The file.
        under: Name under which they may be, among other things such as the state of an optimiser.

    Raises:
        WeightsError: No such file, or something else than tensors by name.
    """
    import torch

    state: object = read_pickled(checkpoint)
    if under and isinstance(state, Mapping):
        state = state.get(under, state)
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightsError(f"{checkpoint}: expected a state dict, names to tensors")
    return state


def _check(placed: StateDict, config: dict[str, Any]) -> None:
    """Checks that the tensors are those of the network that the configuration describes."""
    import torch

    with torch.device("meta"):
        unet = build_unet(config)
    try:
        check_shapes(unet, placed)
    except ValueError as error:
        raise WeightsError(str(error)) from error
