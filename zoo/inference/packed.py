"""Layers whose weights are laid out for the CPU's kernels once instead of at every call, for inference forms.

oneDNN works on its own blocked layout and reorders a plain weight at every call, which for wide layers on small maps takes longer
than the products. Same products, same numbers to rounding. Anything but float32 inference on a CPU (autocast, gradients,
compilation, another device, a build without oneDNN) takes the plain layer, whose weights stay the ones of record.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

T = TypeVar("T")
OPERATORS = (
    "_convolution_pointwise",
    "_convolution_transpose_pointwise",
    "_linear_pointwise",
    "_reorder_convolution_weight",
    "_reorder_convolution_transpose_weight",
    "_reorder_linear_weight",
)
"""What is used of `torch.ops.mkldnn`: the operators behind torch.compile's own weight packing. They are no public interface:
`tests/test_packed.py` says for the torch that is installed which are there, and that without them the plain layers give the same."""


def native(x: Tensor) -> bool:
    """Whether `x` is computed on by plain float32 inference on a CPU."""
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and not (torch.is_grad_enabled() and x.requires_grad)
        and not torch.compiler.is_compiling()
    )


def available() -> bool:
    """Whether this build of torch has what packing needs; without it the plain layers are used."""
    return torch.backends.mkldnn.is_available() and not missing()


def missing() -> list[str]:
    """The operators that this build of torch lacks."""
    return [name for name in OPERATORS if not hasattr(torch.ops.mkldnn, name)]


def filled(rows: Tensor) -> Tensor:
    """Rows [N, C] with rows of zeros behind them, to one of few numbers of rows: 15 or an eighth more at most.

    For products whose number of rows depends on the data. oneDNN makes kernels for each number that it meets and keeps half a megabyte of
    each for good, so that a long run would fill the memory (measured with torch 2.14.1, AVX-512: 2000 samples of SC-GAN grew by 900 MiB).
    """
    count = len(rows)
    step = max(16, 1 << max(0, count.bit_length() - 4))
    return nn.functional.pad(rows, (0, 0, 0, -count % step))


class Cache:
    """What was packed from a weight and the state of that weight; copies and pickles start empty (it can be neither)."""

    def __init__(self) -> None:
        self.key: tuple[int, int | None] | None = None
        self.value: Any = None

    def of(self, weight: Tensor, make: Callable[[Tensor], T]) -> T:
        """What `make` gives for the weight, made anew where the weight is another or has changed."""
        key = weight.data_ptr(), None if weight.is_inference() else weight._version
        if self.value is None or self.key != key:
            with torch.no_grad():
                self.value = make(weight.detach())
            self.key = key
        return self.value

    def __deepcopy__(self, memo: dict[int, Any]) -> Cache:
        return Cache()

    def __reduce__(self) -> tuple[type[Cache], tuple[()]]:
        return Cache, ()


class Packed(nn.Module):
    """A layer and its packed weight, made at the first call. Its parameters take no gradient."""

    def __init__(self, layer: nn.Linear | nn.Conv2d | nn.ConvTranspose2d) -> None:
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self._cache = Cache()

    @property
    def weight(self) -> Tensor:
        """The plain weight."""
        return self.layer.weight

    def forward(self, x: Tensor) -> Tensor:
        weight = self.layer.weight
        if not (native(x) and weight.dtype == x.dtype and weight.device == x.device and available()):
            return self.layer(x)
        return self._apply_packed(x, self._cache.of(weight, lambda plain: self._pack(plain, x)))

    def add_to(self, x: Tensor, out: Tensor) -> Tensor:
        """`forward(x) + out`, in the memory of `out` where its type allows."""
        return out.add_(y) if (y := self(x)).dtype == out.dtype else out + y

    def _pack(self, weight: Tensor, x: Tensor) -> Tensor:
        layer = self.layer
        size = [1, *x.shape[1:]]  # a hint for the layout; other sizes give right numbers too
        if isinstance(layer, nn.Linear):
            return torch.ops.mkldnn._reorder_linear_weight(weight, 8)
        shape = layer.padding, layer.stride, layer.dilation, layer.groups, size
        if isinstance(layer, nn.Conv2d):
            return torch.ops.mkldnn._reorder_convolution_weight(weight, *shape)
        return torch.ops.mkldnn._reorder_convolution_transpose_weight(
            weight, layer.padding, layer.output_padding, *shape[1:]
        )

    def _apply_packed(self, x: Tensor, packed: Tensor) -> Tensor:
        layer, none = self.layer, ("none", [], "")  # no activation
        if isinstance(layer, nn.Linear):
            return torch.ops.mkldnn._linear_pointwise(x, packed, layer.bias, *none)
        shape = layer.stride, layer.dilation, layer.groups
        if isinstance(layer, nn.Conv2d):
            return torch.ops.mkldnn._convolution_pointwise(x, packed, layer.bias, layer.padding, *shape, *none)
        return torch.ops.mkldnn._convolution_transpose_pointwise(
            x, packed, layer.bias, layer.padding, layer.output_padding, *shape, *none
        )


def pack(layer: nn.Module) -> nn.Module:
    """`layer` with a packed weight if it is a linear layer, a convolution or a transposed one with zero padding; else itself."""
    if isinstance(layer, nn.Linear):
        return Packed(layer)
    if not isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        return layer
    return Packed(layer) if layer.padding_mode == "zeros" and not isinstance(layer.padding, str) else layer


def as_linear(conv: nn.Conv2d, *, bias: bool = True) -> nn.Linear:
    """A 1x1 convolution as a linear layer over channels. bias: with its bias, if it has one."""
    bias = bias and conv.bias is not None
    linear = nn.Linear(conv.in_channels, conv.out_channels, bias).to(conv.weight)
    linear.weight.data.copy_(conv.weight.detach()[:, :, 0, 0])
    if bias and conv.bias is not None:
        linear.bias.data.copy_(conv.bias.detach())
    return linear
