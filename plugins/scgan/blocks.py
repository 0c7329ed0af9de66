"""Spatially conditional convolution (SCC), normalisation (SCN) and the residual block around them (paper section 3.2)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade.blocks import Affine, SPADENorm
from zoo.nn.norms import NormSpec, param_free_norm, parse_norm
from zoo.nn.spectral import SNConv2d, SpectralMixin, conv2d


class Site(NamedTuple):
    """What the map says at one scale: semantic vectors for convolutions and norms, and the one-hot planes of that size."""

    v_conv: Tensor
    v_norm: Tensor
    planes: Tensor


class BlockPlan(NamedTuple):
    """All that a block needs of the map: semantic vectors, and per norm what its `plan` returned."""

    v_conv: Tensor
    norm_0: Tensor | Affine | None
    norm_1: Tensor | Affine | None
    norm_s: Affine | None


class SCC(nn.Module):
    """Eq. 4: out(p) = sum_i V_i(p) * (k_i * x)(p), with `n` 3x3 candidates without bias, each spectrally normalised by itself.

    V multiplies at the output position; [B, n, 1, 1] means one mixture for the whole image.
    """

    def __init__(self, c_in: int, c_out: int, n: int, *, spectral: bool = True, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.bases = nn.ModuleList(conv2d(spectral, c_in, c_out, 3, padding=1, bias=False) for _ in range(n))

    def kernels(self) -> list[Tensor]:
        """The candidates' (normalised) kernels; advances the power iteration in training."""
        return [b.normalized_weight() if isinstance(b, SpectralMixin) else b.weight for b in self.bases]  # type: ignore[misc]

    def forward(self, x: Tensor, v: Tensor) -> Tensor:
        n = len(self.bases)
        if v.shape[1] != n:
            return self._per_channel(x, v)
        candidates = F.conv2d(x, torch.cat(self.kernels()), stride=self.stride, padding=1).chunk(n, 1)
        v = v.to(candidates[0].dtype)
        out = candidates[0] * v[:, :1]
        for i in range(1, n):
            out = torch.addcmul(out, candidates[i], v[:, i : i + 1])
        return out

    def _per_channel(self, x: Tensor, v: Tensor) -> Tensor:
        """V with n * c_out channels. Quirk: candidates and channels are read as [c_out, n], which mixes the two axes."""
        n = len(self.bases)
        candidates = F.conv2d(x, torch.cat(self.kernels()), stride=self.stride, padding=1)
        shape = (len(x), candidates.shape[1] // n, n, *candidates.shape[2:])
        return (candidates.reshape(shape) * v.reshape(shape).to(candidates.dtype)).sum(2)


class ConvStack(nn.Module):
    """What stands in an SCC's place in the rows "Conv" of the paper's Table 3: `n` ordinary 3x3 convolutions one after the other, each of
    which sees V beside its features, with leaky ReLU between them; the first brings c_in to c_out.

    Our reading of "we triple its Conv number" and "concatenating V to the input feature maps for every Conv": it is the one that gives the
    67.3 million parameters that the paper states for Conv and BN (docs/papers/scgan.md, "Table 3").
    """

    def __init__(self, c_in: int, c_out: int, n: int, *, spectral: bool = True) -> None:
        super().__init__()
        inputs = [c_in, *[c_out] * (n - 1)]
        self.layers = nn.ModuleList(conv2d(spectral, c + n, c_out, 3, padding=1, bias=False) for c in inputs)

    def forward(self, x: Tensor, v: Tensor) -> Tensor:
        v = v.to(x.dtype).expand(-1, -1, *x.shape[-2:])
        for i, layer in enumerate(self.layers):
            x = layer(torch.cat([F.leaky_relu(x, 0.2) if i else x, v], 1))
        return x


def split_operator(norm: str) -> tuple[bool, str]:
    """Whether a norm text asks for ordinary convolutions (`[spectral]conv…`), and the text without that."""
    spectral = "spectral" if norm.startswith("spectral") else ""
    rest = norm.removeprefix("spectral")
    return rest.startswith("conv"), spectral + rest.removeprefix("conv")


class SCN(nn.Module):
    """Eq. 5: norm(x) * (1 + gamma) + beta, (gamma, beta)(p) = sum_i V_i(p) * row_i of a learned table [m, 2 * channels]."""

    def __init__(self, channels: int, m: int, norm: str) -> None:
        super().__init__()
        self.param_free_norm = param_free_norm(norm, channels)
        self.table = nn.Parameter(torch.zeros(m, 2 * channels))

    def plan(self, site: Site) -> Tensor:
        return site.v_norm

    def forward(self, x: Tensor, v: Tensor) -> Tensor:
        normalized = self.param_free_norm(x)
        mixed = F.conv2d(v.to(normalized.dtype), self.table.t()[:, :, None, None])
        gamma, beta = mixed.chunk(2, 1)
        return torch.addcmul(beta, normalized, 1 + gamma)


class MapNorm(SPADENorm):
    """SPADE over the one-hot planes of a Site."""

    def plan(self, site: Site) -> Affine:
        return self.affine(site.planes)


class PlainNorm(nn.Module):
    """A norm that does not look at the map: InstanceNorm without, BatchNorm with scale and shift."""

    def __init__(self, channels: int, kind: str) -> None:
        super().__init__()
        self.norm = nn.InstanceNorm2d(channels) if kind == "instance" else nn.BatchNorm2d(channels)

    def plan(self, site: Site) -> None:
        return None

    def forward(self, x: Tensor, plan: None) -> Tensor:
        return self.norm(x)


def make_norm(spec: NormSpec, channels: int, planes: int, m: int, hidden: int) -> SCN | MapNorm | PlainNorm:
    """norm_0 and norm_1 of a block for each form of `norm` (docs/papers/scgan.md, "Norm texts")."""
    if spec.modulation == "scc":
        return SCN(channels, m, spec.kind)
    if spec.modulation == "spade":
        return MapNorm(channels, planes, norm=spec.kind, kernel=spec.kernel, hidden=hidden)
    return PlainNorm(channels, spec.kind)


class SCResnetBlock(nn.Module):
    """out = shortcut(x) + SCC(lrelu(norm(SCC(lrelu(norm(x)))))); the shortcut is x, or SPADE and a 3x3 convolution where
    widths differ (unlike the paper, it sees the raw labels). `plan` needs only the map, `forward` x and the plan.
    """

    def __init__(self, c_in: int, c_out: int, *, planes: int, n: int, m: int, norm: str, hidden: int = 128) -> None:
        super().__init__()
        ordinary, text = split_operator(norm)
        spec = parse_norm(text, ("scc", "spade"))
        middle = min(c_in, c_out)
        operator = ConvStack if ordinary else SCC
        self.conv_0 = operator(c_in, middle, n, spectral=spec.spectral)
        self.conv_1 = operator(middle, c_out, n, spectral=spec.spectral)
        self.norm_0 = make_norm(spec, c_in, planes, m, hidden)
        self.norm_1 = make_norm(spec, middle, planes, m, hidden)
        self.learned = c_in != c_out
        if self.learned:
            # spectral norm here even where `norm` does not ask for it (as in the official code)
            self.conv_s = SNConv2d(c_in, c_out, 3, padding=1)
            self.norm_s = MapNorm(c_in, planes, norm=spec.kind, kernel=spec.kernel, hidden=hidden)

    def plan(self, site: Site) -> BlockPlan:
        norm_s = self.norm_s.plan(site) if self.learned else None
        return BlockPlan(site.v_conv, self.norm_0.plan(site), self.norm_1.plan(site), norm_s)

    def forward(self, x: Tensor, plan: BlockPlan) -> Tensor:
        shortcut = x if plan.norm_s is None else self.conv_s(self.norm_s(x, plan.norm_s))
        dx = self.conv_0(F.leaky_relu(self.norm_0(x, plan.norm_0), 0.2), plan.v_conv)  # type: ignore[arg-type]
        dx = self.conv_1(F.leaky_relu(self.norm_1(dx, plan.norm_1), 0.2), plan.v_conv)  # type: ignore[arg-type]
        return shortcut + dx
