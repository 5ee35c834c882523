"""The UNet of Dhariwal and Nichol (2021, arXiv:2105.05233) in plain torch, with the tensor names of guided-diffusion.

Written from the paper for the tests, so that what `convert` makes of a state dict has something to agree with.
"""

from __future__ import annotations

import math

import torch
from torch import nn


def norm(channels):
    return nn.GroupNorm(32, channels)


class Named(nn.Module):
    """Modules under given names, such as ``in_layers.0``."""

    def put(self, name, module):
        first, _, rest = name.partition(".")
        if not rest:
            self.add_module(first, module)
            return
        if first not in self._modules:
            self.add_module(first, Named())
        self._modules[first].put(rest, module)

    def take(self, name):
        return self.get_submodule(name)


class Resnet(Named):
    def __init__(self, channels, out, time, *, scale_shift, resize=None):
        super().__init__()
        self.scale_shift, self.resize = scale_shift, resize
        self.put("in_layers.0", norm(channels))
        self.put("in_layers.2", nn.Conv2d(channels, out, 3, padding=1))
        self.put("emb_layers.1", nn.Linear(time, 2 * out if scale_shift else out))
        self.put("out_layers.0", norm(out))
        self.put("out_layers.3", nn.Conv2d(out, out, 3, padding=1))
        if channels != out:
            self.put("skip_connection", nn.Conv2d(channels, out, 1))

    def forward(self, x, time):
        h = nn.functional.silu(self.take("in_layers.0")(x))
        if self.resize == "down":
            h, x = (nn.functional.avg_pool2d(part, 2) for part in (h, x))
        if self.resize == "up":
            h, x = (nn.functional.interpolate(part, scale_factor=2) for part in (h, x))
        h = self.take("in_layers.2")(h)
        embedded = self.take("emb_layers.1")(nn.functional.silu(time))[..., None, None]
        if self.scale_shift:
            scale, shift = embedded.chunk(2, dim=1)
            h = self.take("out_layers.0")(h) * (1 + scale) + shift
        else:
            h = self.take("out_layers.0")(h + embedded)
        h = self.take("out_layers.3")(nn.functional.silu(h))
        return h + (self.take("skip_connection")(x) if "skip_connection" in self._modules else x)


class Attention(Named):
    def __init__(self, channels, *, head_channels, heads, new_order):
        super().__init__()
        self.heads, self.new_order = heads or channels // head_channels, new_order
        self.put("norm", norm(channels))
        self.put("qkv", nn.Conv1d(channels, 3 * channels, 1))
        self.put("proj_out", nn.Conv1d(channels, channels, 1))

    def forward(self, x, time):
        batch, channels = x.shape[:2]
        flat = x.reshape(batch, channels, -1)
        qkv = self.take("qkv")(self.take("norm")(flat))
        width = channels // self.heads
        if self.new_order:
            q, k, v = qkv.reshape(batch, 3, self.heads, width, -1).unbind(1)
        else:
            q, k, v = qkv.reshape(batch, self.heads, 3, width, -1).unbind(2)
        weights = torch.softmax(torch.einsum("bhct,bhcs->bhts", q, k) / math.sqrt(width), dim=-1)
        h = torch.einsum("bhts,bhcs->bhct", weights, v).reshape(batch, channels, -1)
        return (flat + self.take("proj_out")(h)).reshape(x.shape)


class Strided(Named):
    def __init__(self, channels):
        super().__init__()
        self.put("op", nn.Conv2d(channels, channels, 3, stride=2, padding=1))

    def forward(self, x, time):
        return self.take("op")(x)


class Doubled(Named):
    def __init__(self, channels):
        super().__init__()
        self.put("conv", nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, x, time):
        return self.take("conv")(nn.functional.interpolate(x, scale_factor=2))


class Plain(nn.Conv2d):
    def forward(self, x, time):
        return super().forward(x)


class ADM(Named):
    def __init__(self, channels=32, mult=(1, 2), attention=(False, True), blocks=1, *, head_channels=16, heads=None,
                 new_order=False, scale_shift=True, resblock_updown=True, classes=None, out=6, seed=0):  # fmt: skip
        super().__init__()
        torch.manual_seed(seed)
        self.channels, self.classes = channels, classes
        time = 4 * channels
        self.put("time_embed.0", nn.Linear(channels, time))
        self.put("time_embed.2", nn.Linear(time, time))
        if classes:
            self.put("label_emb", nn.Embedding(classes, time))

        def resnet(before, after, resize=None):
            return Resnet(before, after, time, scale_shift=scale_shift, resize=resize)

        def attend(width):
            return Attention(width, head_channels=head_channels, heads=heads, new_order=new_order)

        width = int(mult[0] * channels)
        inputs, widths = [[Plain(3, width, 3, padding=1)]], [width]
        for level, (factor, attends) in enumerate(zip(mult, attention, strict=True)):
            for _ in range(blocks):
                after = int(factor * channels)
                inputs.append([resnet(width, after), *([attend(after)] if attends else [])])
                width = after
                widths.append(width)
            if level < len(mult) - 1:
                inputs.append([resnet(width, width, "down") if resblock_updown else Strided(width)])
                widths.append(width)
        middle = [resnet(width, width), attend(width), resnet(width, width)]
        outputs = []
        for level, (factor, attends) in reversed(list(enumerate(zip(mult, attention, strict=True)))):
            for number in range(blocks + 1):
                after = int(factor * channels)
                parts = [resnet(width + widths.pop(), after), *([attend(after)] if attends else [])]
                width = after
                if level and number == blocks:
                    parts.append(resnet(width, width, "up") if resblock_updown else Doubled(width))
                outputs.append(parts)
        self.inputs, self.outputs = len(inputs), len(outputs)
        for name, groups in (("input_blocks", inputs), ("output_blocks", outputs)):
            for index, parts in enumerate(groups):
                for part, module in enumerate(parts):
                    self.put(f"{name}.{index}.{part}", module)
        for part, module in enumerate(middle):
            self.put(f"middle_block.{part}", module)
        self.put("out.0", norm(width))
        self.put("out.2", nn.Conv2d(width, out, 3, padding=1))

    def forward(self, x, time, label=None):
        half = self.channels // 2
        angles = time * torch.exp(-math.log(10000) * torch.arange(half) / half)
        embedded = self.take("time_embed.0")(torch.cat([angles.cos(), angles.sin()])[None])
        embedded = self.take("time_embed.2")(nn.functional.silu(embedded))
        if label is not None:
            embedded = embedded + self.take("label_emb").weight[label][None]
        kept, h = [], x
        for index in range(self.inputs):
            for part in self.take(f"input_blocks.{index}").children():
                h = part(h, embedded)
            kept.append(h)
        for part in self.take("middle_block").children():
            h = part(h, embedded)
        for index in range(self.outputs):
            h = torch.cat([h, kept.pop()], dim=1)
            for part in self.take(f"output_blocks.{index}").children():
                h = part(h, embedded)
        return self.take("out.2")(nn.functional.silu(self.take("out.0")(h)))
