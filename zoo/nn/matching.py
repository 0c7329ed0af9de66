"""Distributions matched without a discriminator: the maximum mean discrepancy between descriptors of made pictures and of photos.

After "Generative Moment Matching Networks" (Li et al., ICML 2015) and "Demystifying MMD GANs" (Binkowski et al., ICLR 2018, the
rational quadratic kernels of section 5). Ours: the pictures of earlier steps stand for the rest of the model's distribution, so that small
batches do; and the descriptors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.nn.one_batch import batch_mean, batch_rows

BANDS = 10
"""Bands of the spectrum, of equal width in octaves from 2 cycles a picture to half of its pixels."""
KERNEL_SHAPES = (0.2, 1.0, 5.0)
"""Alpha of the rational quadratic kernels, whose mean is taken: with long tails (far pictures are drawn in too) to nearly Gaussian."""
WEIGHTS = {"head": 4.0}
"""What a descriptor weighs in the loss (others: 1). A head's says most of what a picture shows: without it KID did not gain (card of `spade-celeba`)."""
REGION = re.compile(r"region_\d+\.")
LEAST = 0.02
"""Share of a picture from which what is within a region says something of it."""


def descriptors(
    images: Tensor,
    features: Sequence[Tensor],
    head: Callable[[Tensor], Tensor] | None = None,
    regions: Tensor | None = None,
) -> dict[str, Tensor]:
    """What a picture is as a whole, float32 [B, D_i] each: `depth_0`, …, mean and deviation over the picture of every feature map's channels;
    `head`, the mean of what a head makes of the last one; `bands`, logarithms of the luma's energy in `BANDS` bands of the spectrum;
    `colours`, mean and deviation of the three colours.

    images: [B, 3, H, W] in [-1, 1]. features: of a `FeatureNetwork` for the same images, with its `head`, where it has one. regions: see `seen_by`.
    """
    return seen_by(features, head, regions) | {"bands": band_energies(images), "colours": _moments(images)}


def seen_by(
    features: Sequence[Tensor], head: Callable[[Tensor], Tensor] | None = None, regions: Tensor | None = None
) -> dict[str, Tensor]:
    """The part of the `descriptors` that a feature network gives: `depth_0`, … and `head`. regions: shares [B, R, H, W] of the pixels in [0, 1] that
    belong to each of R parts of the picture; there are then `region_0.depth_0`, … too, of the maps within them, NaN where a picture has less than
    `LEAST` of a region."""
    found = {f"depth_{i}": _moments(f) for i, f in enumerate(features)}
    last = None if head is None else head(features[-1]).float()
    if last is not None:
        found["head"] = last.mean((2, 3))
    if regions is None:
        return found
    present = regions.mean((2, 3)) >= LEAST
    within = {f"depth_{i}": _moments_within(f, regions) for i, f in enumerate(features)}
    if last is not None:
        within["head"] = _moments_within(last, regions)[..., : last.shape[1]]
    for name, rows in within.items():
        rows = torch.where(present[:, :, None], rows, torch.nan)
        found |= {f"region_{i}.{name}": part for i, part in enumerate(rows.unbind(1))}
    return found


def _kind(name: str) -> str:
    return name.rpartition(".")[2]


def _weight(name: str, names: Iterable[str]) -> float:
    """That of its kind; regions share it."""
    whole = REGION.sub("", name)
    same = sum(
        REGION.sub("", other) == whole for other in names if bool(REGION.search(other)) == bool(REGION.search(name))
    )
    return WEIGHTS.get(_kind(name), 1.0) / same


def _moments(maps: Tensor) -> Tensor:
    """[B, 2 C]: mean and standard deviation of each channel of [B, C, h, w]."""
    flat = maps.float().flatten(2)
    return torch.cat([flat.mean(2), (flat.var(2, unbiased=False) + 1e-6).sqrt()], 1)


def _moments_within(maps: Tensor, regions: Tensor) -> Tensor:
    """[B, R, 2 C]: mean and standard deviation of each channel of [B, C, h, w] within each of [B, R, H, W]."""
    with exactly(maps):
        shares = F.adaptive_avg_pool2d(regions.float(), (maps.shape[-2], maps.shape[-1])).flatten(2)
        shares = shares / shares.sum(2, keepdim=True).clamp_min(1e-6)
        flat = maps.float().flatten(2).mT
        centre = flat.mean(1, keepdim=True)  # variances as differences of squares need numbers near 0
        flat = flat - centre
        mean = shares @ flat
        deviation = ((shares @ flat.square() - mean.square()).clamp_min(0) + 1e-6).sqrt()
        return torch.cat([mean + centre, deviation], 2)


def exactly(tensor: Tensor) -> torch.autocast:
    """Products in the tensors' own dtype: those of bfloat16 would round what differences of means are taken of."""
    return torch.autocast(tensor.device.type, enabled=False)


def band_energies(images: Tensor) -> Tensor:
    """Natural logarithms, float32 [B, BANDS], of the luma's (BT.601) mean energy in each band, under a Hann window. images: [B, 3, H, W] in [-1, 1]."""
    height, width = images.shape[-2:]
    r, g, b = images.float().unbind(1)
    luma = (0.299 * r + 0.587 * g + 0.114 * b) / 2
    window = torch.hann_window(height, periodic=False)[:, None] * torch.hann_window(width, periodic=False)
    energy = torch.fft.rfft2((luma - luma.mean((1, 2), keepdim=True)) * window.to(luma), norm="ortho").abs().square()
    fy, fx = torch.fft.fftfreq(height, 1 / height)[:, None], torch.fft.rfftfreq(width, 1 / width)
    octave = (fy.square() + fx.square()).sqrt().clamp_min(1e-3).log2() - 1  # 0 at 2 cycles
    last = torch.tensor(min(height, width) / 2).log2() - 1
    band = (octave / last * BANDS).floor().long()
    weights = torch.stack([((band == i) & (octave >= 0)).float() for i in range(BANDS)])
    weights = (weights / weights.sum((1, 2), keepdim=True).clamp_min(1)).to(energy)
    with exactly(energy):
        return (torch.einsum("bhw,khw->bk", energy, weights) + 1e-7).log()


def kernel(a: Tensor, b: Tensor) -> Tensor:
    """Mean of the rational quadratic kernels of rows [N, D] and [M, D], [N, M] in (0, 1]; distances in units of 2 D, so that those of unrelated
    rows of unit variance are about 1."""
    distances = (a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T).clamp_min(0) / (2 * a.shape[1])
    return torch.stack([(1 + distances / shape) ** -shape for shape in KERNEL_SHAPES]).mean(0)


class PhotoMatching(nn.Module):
    """Descriptors of the training photos, and banks of those of the pictures made lately, one bank for each group of pictures.

    Buffers alone: it is saved with a run's state, and no part of the model. Nothing is random.
    """

    def __init__(self, photos: Mapping[str, Tensor], groups: int, bank: int, fewest: int) -> None:
        """photos: their descriptors, [N, D_i] each, in whose means and deviations everything is measured (that of a `head`, whose channels
        are mostly 0, in one deviation for all of them); rows with NaN count as their mean. What stands in a name before its last dot says
        of what: the weight of a descriptor is shared by its regions. groups: of pictures that are matched each by itself. bank: pictures that each one
        keeps. fewest: from how many it stands for a distribution."""
        super().__init__()
        self.fewest = fewest
        self.sizes = {name: level.shape[1] for name, level in photos.items()}
        self.weights = [_weight(name, self.sizes) for name in self.sizes]
        known = torch.cat(list(photos.values()), 1)
        mean = known.nanmean(0)
        far = known - mean
        spread = (far.square().nansum(0) / (far.isfinite().sum(0) - 1).clamp_min(1)).sqrt().clamp_min(1e-4)
        deviations = dict(zip(self.sizes, spread.split(list(self.sizes.values())), strict=True))
        for name in [n for n in deviations if _kind(n) == "head"]:
            deviations[name] = deviations[name].square().mean().sqrt().expand(self.sizes[name])
        deviation = torch.cat(list(deviations.values()))
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        self.register_buffer("photos", (far / deviation).nan_to_num(0.0))
        self.register_buffer("banks", torch.zeros(groups, bank, known.shape[1]))
        self.register_buffer("counts", torch.zeros(groups, dtype=torch.long))

    def forward(self, made: Mapping[str, Tensor], group: Tensor) -> Tensor:
        """How much more like the model's other pictures than like photos the made ones are, by their descriptors [B, D_i]: twice the difference of the
        mean kernels, whose gradient is that of the squared MMD (about 0 where the distributions are equal; of either sign for a batch). Mean over the
        descriptors by their `WEIGHTS`, the pictures of a group, and the groups.

        group: int64 [B], of each picture. The made ones are then put into the banks; 0 while a group's bank holds fewer than `fewest`.
        """
        scaled = (torch.cat([made[name] for name in self.sizes], 1) - self.get_buffer("mean")) / self.get_buffer(
            "deviation"
        )
        scaled = scaled.nan_to_num(0.0)
        photos, banks, counts = (self.get_buffer(name) for name in ("photos", "banks", "counts"))
        total = scaled.new_zeros(())
        for i, count in enumerate(counts.tolist()):
            if count < self.fewest:
                continue
            own = scaled[group == i]
            others = banks[i, :count].clone()  # the bank changes before the backward pass
            levels = zip(
                self.weights, *(x.split(list(self.sizes.values()), 1) for x in (own, others, photos)), strict=True
            )
            with exactly(own):
                terms = [
                    w * (kernel(x, y).sum() / len(y) - kernel(x, real).sum() / len(real)) for w, x, y, real in levels
                ]
            mean = 2 * torch.stack(terms).sum() / sum(self.weights) / max(1, len(own))
            total = total + batch_mean(mean, float(len(own))) / len(counts)
        self._keep(batch_rows(scaled), batch_rows(group))
        return total

    @torch.no_grad()
    def _keep(self, rows: Tensor, group: Tensor) -> None:
        """The newest first; the oldest fall out."""
        banks, counts = self.get_buffer("banks"), self.get_buffer("counts")
        for i, bank in enumerate(banks):
            new = rows[group == i]
            bank.copy_(torch.cat([new, bank])[: len(bank)])
            counts[i] = min(len(bank), int(counts[i]) + len(new))
