"""The teacher-forced pass of training with all steps at once: the canvases are known beforehand, so only the LSTMs run in turn.

Equal to `steps.unroll(forced=True)` wherever a sample's numbers depend on nothing but itself: instance norm or none, and no spectral
norm that advances from step to step (evaluation, or spectral=False). It saves the work that repeats itself: the first
convolution is additive over its planes, so each plane is convolved once; absent classes with an unchanged canvas share
one context code; the posterior's convolutions and the decoder run for present classes alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.nn.spectral_fresh import FreshSNConv2d
from zoo_plugins.segvae.networks import sample_code

if TYPE_CHECKING:
    from zoo_plugins.segvae.model import SegVAE


@dataclass
class Forced:
    """present: bool [B, T] in step order. mu, log_var of posterior and prior: [B, T, Z] (the prior's None without a prior network).

    logits: [P, 1, R, R], the posterior's shapes of the P present (sample, step) pairs; truth: the same pairs' true shapes.
    """

    present: Tensor
    mu: Tensor
    log_var: Tensor
    prior_mu: Tensor | None
    prior_log_var: Tensor | None
    logits: Tensor
    truth: Tensor


def applies(model: SegVAE) -> bool:
    """Whether the pass is exact for this model in its present mode."""
    return not model.training or (model.config.norm != "bn" and not model.config.spectral)


def forced_pass(model: SegVAE, planes: Tensor, label_set: Tensor, eps: Tensor) -> Forced:
    """planes: true layers [B, N, R, R] (channel 0 all 0), label_set [B, N], eps of the posterior [B, T, Z] by channel."""
    order = torch.tensor(model.order, device=planes.device)
    present = label_set[:, order] > 0
    feat = _context(model, planes, label_set, order, present)
    rows = present.nonzero()
    truth = planes[rows[:, 0], order[rows[:, 1]]][:, None]
    codes = _posterior_codes(model, truth, order[rows[:, 1]], present)
    mu, log_var = _heads(model, codes, feat)
    prior_mu, prior_log_var = _prior(model, feat)
    z = sample_code(mu, log_var, eps[:, order - 1])
    logits = model.decoder(feat[present], z[present])
    return Forced(present, mu, log_var, prior_mu, prior_log_var, logits, truth)


def _context(model: SegVAE, planes: Tensor, label_set: Tensor, order: Tensor, present: Tensor) -> Tensor:
    """Context codes [B, T, S]; steps of a sample with the same canvas and target share one computation."""
    batch, steps = present.shape
    done = present.long().cumsum(1) - present.long()  # present classes before each step: what is on the canvas
    sample_of = torch.arange(batch, device=order.device)[:, None].expand(-1, steps)
    keys = (sample_of * (steps + 1) + done) * 2 + present.long()
    unique, inverse = torch.unique(keys, return_inverse=True)
    first = torch.full_like(unique, batch * steps).scatter_reduce(
        0, inverse.flatten(), torch.arange(batch * steps, device=order.device), "amin"
    )
    b, t = first // steps, first % steps
    hidden = _first_layer(model, planes, label_set, order, present, b, t)
    encoder = model.context.encoder
    first_block = encoder.blocks[0]
    assert isinstance(first_block, nn.Sequential)
    for layer in first_block[1:]:
        hidden = layer(hidden)
    for block in encoder.blocks[1:]:
        hidden = block(hidden)
    return encoder.out(hidden).flatten(1)[inverse]


def _first_layer(
    model: SegVAE, planes: Tensor, label_set: Tensor, order: Tensor, present: Tensor, b: Tensor, t: Tensor
) -> Tensor:
    """The first convolution at the pairs (b, t): its response to each plane once, summed as the canvases hold them."""
    context, stem = model.context, model.context.encoder.blocks[0][0]  # type: ignore[index]
    assert isinstance(stem, nn.Conv2d)
    weight = stem.normalized_weight() if isinstance(stem, FreshSNConv2d) else stem.weight
    eye = torch.eye(label_set.shape[1], device=planes.device)
    targets = torch.cat([eye[order], torch.zeros_like(eye[:1])])  # one row per step, the last for absent classes
    maps = F.conv2d(context.target_map(targets), weight[:, -1:], stem.bias, stem.stride, stem.padding)
    hidden = maps[torch.where(present[b, t], t, len(order))]
    if context.label_map is not None:
        labels = F.conv2d(context.label_map(label_set), weight[:, -2:-1], None, stem.stride, stem.padding)
        hidden = hidden + labels[b]
    if context.uses_canvas:
        hidden = hidden + _canvas(planes, weight, order, stem)[b, t]
    return hidden


def _canvas(planes: Tensor, weight: Tensor, order: Tensor, stem: nn.Conv2d) -> Tensor:
    """Response to the canvas of every step: [B, T, f, R/2, R/2]; step t sees the classes before it."""
    batch, steps, width = len(planes), len(order), len(weight)
    kernels = weight[:, order].transpose(0, 1).reshape(steps * width, 1, *weight.shape[2:])
    each = F.conv2d(planes[:, order], kernels, None, stem.stride, stem.padding, groups=steps)
    before = torch.ones(steps, steps, device=each.device, dtype=each.dtype).tril(
        -1
    )  # a product is faster than cumsum and its backward
    return (before @ each.reshape(batch, steps, -1)).view(batch, steps, width, *each.shape[-2:])


def _posterior_codes(model: SegVAE, truth: Tensor, channels: Tensor, present: Tensor) -> Tensor:
    """Convolution codes [B, T, h]; every absent class has the code of the empty plane."""
    classes = len(model.channels) + 1
    targets = F.one_hot(channels, classes).to(truth)
    empty = torch.zeros_like(truth[:1]) if len(truth) else truth.new_zeros(1, 1, *model.resolution)
    shapes, targets = torch.cat([truth, empty]), torch.cat([targets, truth.new_zeros(1, classes)])
    codes = model.posterior.code(shapes, targets)
    where = torch.full(present.shape, len(truth), device=present.device)
    where[present] = torch.arange(len(truth), device=present.device)
    return codes[where]


def _heads(model: SegVAE, codes: Tensor, feat: Tensor) -> tuple[Tensor, Tensor]:
    state, outputs = None, []
    for t in range(codes.shape[1]):
        mu, log_var, state = model.posterior.head(codes[:, t], feat[:, t], state)
        outputs.append((mu, log_var))
    return torch.stack([m for m, _ in outputs], 1), torch.stack([v for _, v in outputs], 1)


def _prior(model: SegVAE, feat: Tensor) -> tuple[Tensor | None, Tensor | None]:
    if model.prior is None:
        return None, None
    state, outputs = None, []
    for t in range(feat.shape[1]):
        mu, log_var, state = model.prior(feat[:, t], state)
        outputs.append((mu, log_var))
    return torch.stack([m for m, _ in outputs], 1), torch.stack([v for _, v in outputs], 1)
