"""Spectral normalisation (Miyato et al. 2018) as layers of their own: weight / sigma, sigma by one power iteration per training forward.

Own layers rather than `torch.nn.utils.parametrizations`: the power iteration must stay in float32 under autocast, layers with
several kernels want all normalised kernels at once, and EMA and the inference form need u and v by name. The numbers are
those of the original `torch.nn.utils.spectral_norm` (eps 1e-12), so checkpoints of that era load (`weight_orig` -> `weight`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.nn.drawn import will_be_loaded
from zoo.nn.spectral_fresh import FreshSpectralMixin

EPS = 1e-12


class SpectralMixin(nn.Module):
    """Adds buffers `weight_u` [out] and `weight_v` [rest] to a layer with `weight`; see `normalized_weight`.

    spectral_dim: the output axis of the weight (1 for transposed convolutions).
    """

    weight: Tensor
    weight_u: Tensor
    weight_v: Tensor
    spectral_dim = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        matrix = self._matrix()
        rows, columns = matrix.shape
        if matrix.is_meta:  # shapes alone; the first `normalize` on this device takes seconds
            self.register_buffer("weight_u", torch.empty(rows))
            self.register_buffer("weight_v", torch.empty(columns))
            return
        # a start that needs no random numbers; one_sided in no direction, so the iteration finds the top singular pair
        self.register_buffer("weight_u", F.normalize(torch.linspace(1.0, 2.0, rows), dim=0, eps=EPS))
        self.register_buffer("weight_v", torch.zeros(columns))
        self.begin()

    def _matrix(self) -> Tensor:
        """The weight as [out, rest]."""
        weight = self.weight.detach()
        if self.spectral_dim:
            weight = weight.transpose(0, self.spectral_dim)
        return weight.flatten(1)

    def begin(self) -> None:
        """u and v of a weight that has just been drawn; left as they are where all of it is about to be loaded."""
        if not self.weight.is_meta and not will_be_loaded():
            self.iterate(15)

    @torch.no_grad()
    def iterate(self, steps: int = 1) -> None:
        """Power iterations on the present weight, into the buffers (float32, outside autocast)."""
        matrix = self._matrix()
        with torch.autocast(matrix.device.type, enabled=False):
            u, v = self.weight_u, self.weight_v
            for _ in range(steps):
                v = F.normalize(matrix.t() @ u, dim=0, eps=EPS)
                u = F.normalize(matrix @ v, dim=0, eps=EPS)
            self.weight_u.copy_(u)
            self.weight_v.copy_(v)

    def normalized_weight(self) -> Tensor:
        """weight / sigma. In training mode first advances u and v by one power iteration (once per call)."""
        if self.training:
            self.iterate()
        weight = self.weight.transpose(0, self.spectral_dim) if self.spectral_dim else self.weight
        if weight.is_meta:  # shapes alone, for which there is no autocast
            return self.weight
        with torch.autocast(weight.device.type, enabled=False):
            # clones: a second forward before backward changes the buffers in place
            sigma = torch.dot(self.weight_u.clone(), weight.flatten(1) @ self.weight_v.clone())
            return self.weight / sigma


class SNConv2d(SpectralMixin, nn.Conv2d):
    """`nn.Conv2d` with a spectrally normalised kernel."""

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.normalized_weight(), self.bias)


class SNLinear(SpectralMixin, nn.Linear):
    """`nn.Linear` with a spectrally normalised matrix."""

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.normalized_weight(), self.bias)


class SNConvTranspose2d(SpectralMixin, nn.ConvTranspose2d):
    """`nn.ConvTranspose2d` with a spectrally normalised kernel (matrix rows are its output channels, axis 1)."""

    spectral_dim = 1

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        if output_size is not None:
            raise ValueError("SNConvTranspose2d takes no output_size; set output_padding instead.")
        assert not isinstance(self.padding, str)  # nn.ConvTranspose2d refuses padding by name
        return F.conv_transpose2d(
            input,
            self.normalized_weight(),
            self.bias,
            self.stride,
            self.padding,
            self.output_padding,
            self.groups,
            self.dilation,
        )


def conv2d(spectral: bool, *args: Any, **kwargs: Any) -> nn.Conv2d:
    """`SNConv2d` or `nn.Conv2d` by a switch."""
    return (SNConv2d if spectral else nn.Conv2d)(*args, **kwargs)


def linear(spectral: bool, *args: Any, **kwargs: Any) -> nn.Linear:
    """`SNLinear` or `nn.Linear` by a switch."""
    return (SNLinear if spectral else nn.Linear)(*args, **kwargs)


def spectral_layers(module: nn.Module) -> list[SpectralMixin | FreshSpectralMixin]:
    """Every spectrally normalised layer inside `module`, of either form."""
    return [m for m in module.modules() if isinstance(m, SpectralMixin | FreshSpectralMixin)]


@contextmanager
def held_spectral(module: nn.Module) -> Iterator[None]:
    """Inside, forwards of `module` in training mode use the present u and v as they are: two calls, one power iteration."""
    layers = [m for m in spectral_layers(module) if m.training]
    try:
        for layer in layers:
            layer.training = False
        yield
    finally:
        for layer in layers:
            layer.training = True


@torch.no_grad()
def recompute_spectral(module: nn.Module, steps: int = 30, *, frozen: bool = True) -> None:
    """Recompute every u and v on the present weights by power iteration.

    For averaged weights (EMA): an average of singular vectors is no singular vector. Starts from the stored u, which is near. frozen: also
    of layers none of whose parameters is trained.
    """
    for layer in spectral_layers(module):
        if not (frozen or any(p.requires_grad for p in layer.parameters())):
            continue
        if isinstance(layer, SpectralMixin) and (not layer.weight_u.any() or not torch.isfinite(layer.weight_u).all()):
            layer.weight_u.copy_(F.normalize(torch.linspace(1.0, 2.0, len(layer.weight_u)), dim=0))
        layer.iterate(steps)


@torch.no_grad()
def fold_spectral(module: nn.Module) -> nn.Module:
    """Replace every spectrally normalised layer below `module` by a plain one with weight / sigma, in place.

    Sigma is that of eval mode: from the stored u and v, or in BigGAN's form from one fresh iteration that starts at the stored u.
    For the inference form of a model only; outputs are those of eval mode. Returns `module` (itself replaced if it is such a layer).
    """
    if isinstance(module, SpectralMixin | FreshSpectralMixin):
        return _plain(module)
    for name, child in module.named_children():
        folded = fold_spectral(child)
        if folded is not child:
            setattr(module, name, folded)
    return module


class _Bare(nn.Module):
    """Draws no first weights, which would take longer than folding; `nn.utils.skip_init` takes still longer, for what it imports."""

    def reset_parameters(self) -> None:
        pass


class _BareConv2d(_Bare, nn.Conv2d):
    pass


class _BareTranspose(_Bare, nn.ConvTranspose2d):
    pass


class _BareLinear(_Bare, nn.Linear):
    pass


def _plain(layer: SpectralMixin | FreshSpectralMixin) -> nn.Module:
    was_training = layer.training
    weight = layer.eval().normalized_weight()
    layer.train(was_training)
    if isinstance(layer, nn.Linear):
        plain: nn.Module = _BareLinear(layer.in_features, layer.out_features, layer.bias is not None)
        plain.__class__ = nn.Linear  # type: ignore[assignment]
    else:
        assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
        kind, bare = (nn.Conv2d, _BareConv2d) if isinstance(layer, nn.Conv2d) else (nn.ConvTranspose2d, _BareTranspose)
        extra = {} if kind is nn.Conv2d else {"output_padding": layer.output_padding}
        plain = bare(
            layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding,  # type: ignore[arg-type]
            dilation=layer.dilation, groups=layer.groups, bias=layer.bias is not None, **extra,  # type: ignore[arg-type]
        )  # fmt: skip
        plain.__class__ = kind  # type: ignore[assignment]
    plain.to(weight).train(was_training)
    plain.weight.copy_(weight)  # type: ignore[union-attr, operator]
    if layer.bias is not None:
        plain.bias.copy_(layer.bias)  # type: ignore[union-attr, operator]
    return plain
