"""Norms without parameters, and the norm strings of the SPADE family ("spectralinstance", "spectralspadesyncbatch3x3")."""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.errors import ConfigError
from zoo.nn.spectral import conv2d

KINDS = ("syncbatch", "batch", "instance", "none")


@dataclass(frozen=True)
class NormSpec:
    """A parsed norm string `[spectral][modulation]kind[KxK]`.

    spectral: the convolutions are spectrally normalised. modulation: "" or what makes scale and shift ("spade", "scc", …).
    kind: syncbatch | batch | instance | none. kernel: K, 0 where the string has none.
    """

    spectral: bool
    modulation: str
    kind: str
    kernel: int


def parse_norm(text: str, modulations: tuple[str, ...] = ()) -> NormSpec:
    """Read a norm string. Raises ConfigError naming the forms that are understood."""
    spectral = text.startswith("spectral")
    rest = text.removeprefix("spectral")
    modulation = next((m for m in modulations if rest.startswith(m)), "")
    match = re.fullmatch(r"(syncbatch|batch|instance|none|)(?:(\d+)x(\d+))?", rest.removeprefix(modulation))
    if match is None or match[2] != match[3]:
        forms = f"[spectral][{'|'.join(modulations)}]" if modulations else "[spectral]"
        raise ConfigError(
            f"Norm {text!r} is not understood: expected {forms}{{{'|'.join(KINDS)}}}[KxK], e.g. 'spectralinstance'."
        )
    return NormSpec(spectral, modulation, match[1] or "none", int(match[2] or 0))


class UncountedBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm without scale and shift whose `num_batches_tracked` stays 0.

    Quirk kept for parity: the authors' synchronised batch norm never counts, and their checkpoints hold the 0. That a training on
    several processes takes mean and variance over all of them is the loop's doing, for every batch norm (`zoo.nn.one_batch`); under
    accumulation each micro-batch has its own.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=False)

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or self.momentum is None:  # momentum None: a cumulative average, which needs the count
            found = super().forward(input)
        else:
            found = F.batch_norm(input, self.running_mean, self.running_var, None, None, True, self.momentum, self.eps)
        if found.requires_grad and channels_come_last(input):
            found.register_hook(channels_last)
        return found


def channels_come_last(x: Tensor) -> bool:
    """Whether x [B, C, H, W] is stored with channels last, and with them alone."""
    return x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def channels_last(gradient: Tensor) -> Tensor:
    """The gradient as the batch norm's input is stored. What SPADE and SC-GAN multiply with gives one with channels first, and for such a
    pair torch's backward takes 13 (bfloat16) to 20 times as long on a CPU (2.14)."""
    return gradient.contiguous(memory_format=torch.channels_last)


def param_free_norm(kind: str, channels: int) -> nn.Module:
    """BatchNorm (running statistics, eps 1e-5, momentum 0.1), InstanceNorm or, as "group32", GroupNorm of so many groups, none with scale
    or shift.

    "syncbatch" and "batch" differ in the count that checkpoints hold alone: in a training both look at the samples of all processes.
    """
    if group := re.fullmatch(r"group([1-9]\d*)", kind):
        return nn.GroupNorm(int(group[1]), channels, affine=False)
    if kind == "syncbatch":
        return UncountedBatchNorm2d(channels)
    if kind == "batch":
        return nn.BatchNorm2d(channels, affine=False)
    if kind == "instance":
        return nn.InstanceNorm2d(channels, affine=False)
    raise ConfigError(f"Norm kind {kind!r}: expected one of syncbatch, batch, instance, groupN.")


def conv_norm(
    norm: str,
    c_in: int,
    c_out: int,
    kernel: int,
    stride: int = 1,
    padding: int = 0,
    *,
    bias: bool = False,
    groups: int = 1,
) -> nn.Sequential:
    """A convolution and its norm. With a norm behind it the convolution has no bias (it would be subtracted again), but for
    networks that have it nevertheless (`bias`: pix2pixHD's).

    groups: of the convolution. norm: a norm string without modulation; batch norms have scale and shift, instance norms have none.
    """
    spec = parse_norm(norm)
    conv = conv2d(spec.spectral, c_in, c_out, kernel, stride, padding, groups=groups, bias=bias or spec.kind == "none")
    if spec.kind == "none":
        return nn.Sequential(conv)
    if spec.kind == "instance":
        return nn.Sequential(conv, nn.InstanceNorm2d(c_out, affine=False))
    return nn.Sequential(conv, nn.BatchNorm2d(c_out))
