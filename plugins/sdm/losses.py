"""The losses of a diffusion step: squared error of the noise, and the variational bound in bits (docs/papers/sdm.md, "Losses")."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from zoo_plugins.sdm.diffusion import Process

Network = Callable[[Tensor, Tensor], Tensor]
"""From x_t [B, 3, H, W] and the times [B] to the network's output."""
SMALL = 1e-12
EDGE = 0.999
"""Pixels beyond it count all that lies outside as theirs."""
BIN = 1 / 255
"""Half the distance of two bytes in [-1, 1]."""


def normal_kl(mean: Tensor, log_variance: Tensor, other_mean: Tensor, other_log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || the other), in nats, element by element."""
    return 0.5 * (
        -1.0
        + other_log_variance
        - log_variance
        + torch.exp(log_variance - other_log_variance)
        + (mean - other_mean) ** 2 * torch.exp(-other_log_variance)
    )


def normal_cdf(x: Tensor) -> Tensor:
    """The standard normal distribution's, by the tanh that the authors approximate it with."""
    return 0.5 * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * torch.pow(x, 3))))


def discretized_log_likelihood(x: Tensor, means: Tensor, log_scales: Tensor) -> Tensor:
    """The logarithm of the probability of the bytes x (scaled to [-1, 1]) under Gaussians, element by element, in nats."""
    centred, inverse = x - means, torch.exp(-log_scales)
    above, below = normal_cdf(inverse * (centred + BIN)), normal_cdf(inverse * (centred - BIN))
    inside = (above - below).clamp(min=SMALL).log()
    lowest, highest = above.clamp(min=SMALL).log(), (1.0 - below).clamp(min=SMALL).log()
    return torch.where(x < -EDGE, lowest, torch.where(x > EDGE, highest, inside))


def flat_mean(x: Tensor) -> Tensor:
    """Means per sample: [B, ...] -> [B]."""
    return x.mean(dim=tuple(range(1, x.dim())))


def bound_term(process: Process, output: Tensor, xstart: Tensor, x: Tensor, t: Tensor) -> Tensor:
    """One term of the variational bound per sample [B], in bits per number: the KL divergence of the true step from the network's, at t = 0
    the likelihood of the picture. Pictures are not clipped."""
    true_mean = process.posterior_mean(xstart, x, t)
    true_log_variance = process.look_up("posterior_log_variance_clipped", t)
    found = process.predict(output, x, t, clip=False)
    log_variance = found.log_variance.expand_as(found.mean)
    kl = flat_mean(normal_kl(true_mean, true_log_variance, found.mean, log_variance)) / math.log(2.0)
    likelihood = discretized_log_likelihood(xstart, found.mean, 0.5 * log_variance)
    return torch.where(t == 0, -flat_mean(likelihood) / math.log(2.0), kl)


def diffusion_losses(
    process: Process, network: Network, xstart: Tensor, t: Tensor, noise: Tensor, objective: str = "mse"
) -> dict[str, Tensor]:
    """Terms per sample, each [B], whose sum is the loss: mse and vb, or with the objective "kl" vb alone.

    xstart: pictures [B, 3, H, W] in [-1, 1]; t: steps of the process, int64 [B]; noise: standard normal. In vb the network's first three
    channels are detached, so that it teaches the variances alone; with "kl" they are not.
    """
    x = process.noisy(xstart, t, noise)
    output = network(x, process.times(t)).float()
    if objective == "kl":
        return {"vb": bound_term(process, output, xstart, x, t) * len(process)}
    told = output[:, :3]
    target = xstart if process.config.predict_xstart else noise
    terms = {"mse": flat_mean((target - told) ** 2)}
    if process.config.learn_sigma:
        frozen = torch.cat([told.detach(), output[:, 3:]], 1)
        factor = len(process) / 1000.0 if objective == "rescaled_mse" else 1.0
        terms["vb"] = bound_term(process, frozen, xstart, x, t) * factor
    return terms
