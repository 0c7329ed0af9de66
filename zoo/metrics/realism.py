"""How near pictures are to photos where people look: distance of distributions, colours that no photo has, fine detail.

L1 and a parser's agreement improve while pictures blur; these do not.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.errors import DataError
from zoo.maps import SemanticMap
from zoo.metrics.frechet import frechet_distance
from zoo.metrics.images import check_pictures

JUDGE_SIDE = 224
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RANGE = (0.0005, 0.9995)
"""Quantiles of the photos' colours outside which a colour is odd."""
FEWEST_PIXELS = 2000
"""Pixels of a class in the photos from which its colours are known."""
BAND = (48.0, 64.0)


@torch.no_grad()
def judge_features(judge: nn.Module, images: Tensor, *, batch_size: int = 16) -> Tensor:
    """Features float64 [N, D] of pictures [N, 3, H, W] in [0, 1], resized to 224 x 224 (bicubic, antialiased).

    judge: normalised pictures -> [B, D], such as `zoo.nn.pretrained.mobilenet_v2()`, which no training here sees.
    Raises DataError for pictures that are not finite numbers in [0, 1].
    """
    check_pictures(images)
    found = []
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
    for part in images.float().cpu().split(batch_size):
        sized = F.interpolate(part, size=(JUDGE_SIDE, JUDGE_SIDE), mode="bicubic", antialias=True, align_corners=False)
        found.append(judge((sized - mean) / std).double())
    return torch.cat(found)


def kid(found: Tensor, truth: Tensor) -> float:
    """Kernel Inception Distance (Binkowski et al. 2018, eq. 4) of features [N, D] and [M, D]: the unbiased squared MMD with the
    kernel (x . y / D + 1)^3 over all of them, in no subsets. May be a little below 0 for equal distributions.

    Raises DataError for less than two pictures on a side, or for features of different judges.
    """
    check_features("KID", found, truth)
    n, m = len(found), len(truth)
    among, among_true, across = (_kernel(a, b) for a, b in ((found, found), (truth, truth), (found, truth)))
    own = (among.sum() - among.diagonal().sum()) / (n * (n - 1))
    own_true = (among_true.sum() - among_true.diagonal().sum()) / (m * (m - 1))
    return float(own + own_true - 2 * across.mean())


def kid_interval(found: Tensor, truth: Tensor) -> dict[str, float | int]:
    """`mean` (KID itself), `low` and `high` of its 95 % interval, `n` pictures: normal, with the jackknife's variance over the pictures of
    both sides (Arvesen 1969; resamples with repetition would be biased). NaN ends for fewer than three pictures on a side."""
    mean, n, m = kid(found, truth), len(found), len(truth)
    if min(n, m) < 3:
        return {"mean": mean, "low": float("nan"), "high": float("nan"), "n": n}
    own, own_true, across = (_kernel(a, b) for a, b in ((found, found), (truth, truth), (found, truth)))
    within, within_true = (k.sum(1) - k.diagonal() for k in (own, own_true))
    whole, whole_true, both = within.sum(), within_true.sum(), across.sum()
    without = (
        (whole - 2 * within) / ((n - 1) * (n - 2))
        + whole_true / (m * (m - 1))
        - 2 * (both - across.sum(1)) / ((n - 1) * m)
    )
    without_true = (
        whole / (n * (n - 1))
        + (whole_true - 2 * within_true) / ((m - 1) * (m - 2))
        - 2 * (both - across.sum(0)) / (n * (m - 1))
    )
    variance = sum((k - 1) / k * (v - v.mean()).square().sum() for k, v in ((n, without), (m, without_true)))
    half = 1.959964 * float(variance) ** 0.5
    return {"mean": mean, "low": mean - half, "high": mean + half, "n": n}


def fid(found: Tensor, truth: Tensor) -> float:
    """Frechet distance of the Gaussians of features [N, D] and [M, D] (Heusel et al. 2017, eq. 6): FID where they are Inception's.

    Biased upwards for few pictures: below D + 1 on a side a covariance has not its full rank. Raises DataError as `kid`.
    """
    check_features("FID", found, truth)
    return frechet_distance(found, truth)


def check_features(what: str, found: Tensor, truth: Tensor) -> None:
    """Raise DataError for fewer than two rows on a side, features of two judges, or numbers that are not finite."""
    shapes = f"got {list(found.shape)}, {list(truth.shape)}"
    if min(found.dim(), truth.dim()) != 2 or min(len(found), len(truth)) < 2 or found.shape[1:] != truth.shape[1:]:
        raise DataError(f"{what} needs two pictures or more on each side, of one judge: {shapes}.")
    if not bool(torch.isfinite(found).all() and torch.isfinite(truth).all()):
        raise DataError(f"{what} needs finite features ({shapes}): the judge gave NaN or infinity.")


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    return (a.double() @ b.double().T / a.shape[1] + 1) ** 3


def odd_colours(images: Tensor, photos: Tensor, maps: SemanticMap) -> dict[str, float]:
    """By class the share of its pixels whose colour (Cb or Cr, BT.601) lies outside the .05-99.95 % range of that class in the photos.

    images, photos: [N, 3, H, W] in [0, 1] of the same maps [N, H, W]. Classes with fewer than 2000 pixels in the photos are left
    out. Photos against themselves give at most .2 %. Raises DataError if sizes differ.
    """
    if images.shape != photos.shape or tuple(images.shape[-2:]) != maps.size or len(images) != len(maps):
        raise DataError(
            f"Pictures {list(images.shape)}, photos {list(photos.shape)} and {len(maps)} maps {list(maps.size)} do not belong together."
        )
    made, real = _chroma(images), _chroma(photos)
    labels = maps.labels.cpu()
    found = {}
    for value, name in enumerate(maps.space.names):
        where = labels == value
        if int(where.sum()) < FEWEST_PIXELS:
            continue
        odd = torch.zeros(int(where.sum()), dtype=torch.bool)
        for axis in (0, 1):
            low, high = _quantiles(real[:, axis][where])
            values = made[:, axis][where]
            odd |= (values < low) | (values > high)
        found[name] = float(odd.double().mean())
    return found


def _chroma(images: Tensor) -> Tensor:
    """Cb and Cr of BT.601, [N, 2, H, W]."""
    r, g, b = images.float().cpu().unbind(1)
    luma = 0.299 * r + 0.587 * g + 0.114 * b
    return torch.stack([(b - luma) / 1.772, (r - luma) / 1.402], 1)


def _quantiles(values: Tensor) -> tuple[float, float]:
    """The ends of RANGE (torch's own quantile has a limit of 16 M values)."""
    ordered = values.sort().values
    low, high = (ordered[min(len(ordered) - 1, round(q * (len(ordered) - 1)))] for q in RANGE)
    return float(low), float(high)


def fine_detail(images: Tensor, band: tuple[float, float] = BAND) -> float:
    """Mean energy of the luma at `band` cycles per picture's side (from, to), over pictures [N, 3, H, W] in [0, 1], Hann window.

    Divided by that of photos of the same size it says how much of the fine detail is there. Raises DataError for pictures too small
    to hold the band.
    """
    height, width = images.shape[-2:]
    if min(height, width) < 2 * band[0] + 2:
        raise DataError(f"Pictures of {width} x {height} pixels hold no {band[0]:g} cycles.")
    r, g, b = images.float().cpu().unbind(1)
    luma = 0.299 * r + 0.587 * g + 0.114 * b
    window = torch.hann_window(height, periodic=False)[:, None] * torch.hann_window(width, periodic=False)
    spectrum = torch.fft.fft2((luma - luma.mean((1, 2), keepdim=True)) * window, norm="ortho").abs().square().mean(0)
    fy, fx = torch.fft.fftfreq(height, 1 / height)[:, None], torch.fft.fftfreq(width, 1 / width)
    radius = (fy.square() + fx.square()).sqrt()
    chosen = (radius >= band[0]) & (radius < band[1])
    return float(spectrum[chosen].mean())
