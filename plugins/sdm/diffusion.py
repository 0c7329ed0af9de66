"""The Gaussian process of a config: noisy pictures, what a prediction means, and one step backwards (docs/papers/sdm.md, "Diffusion")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.plugin import UsageError
from zoo_plugins.sdm.config import SDMConfig
from zoo_plugins.sdm.schedule import Tables, betas, respaced, spaced_steps


@dataclass(frozen=True)
class Prediction:
    """What a network's output says of x_t: the mean and the logarithm of the variance of x_{t-1}, and the picture, all [B, 3, H, W] (the
    variance of a fixed one: [1 or B, 1, 1, 1])."""

    mean: Tensor
    log_variance: Tensor
    xstart: Tensor


class Process:
    """A process of n steps, those of the trained process that are kept. Steps are numbered 0..n-1 here; the network gets `times`.

    All tables are float64; what is looked up is cast to float32 before it is used. t: int64 [B].
    """

    def __init__(self, config: SDMConfig, kept: Sequence[int] | None = None) -> None:
        """kept: the steps of the trained process, ascending (None: all)."""
        self.config = config
        full = betas(config.noise_schedule, config.diffusion_steps)
        self.kept = list(range(len(full))) if kept is None else list(kept)
        self.tables = Tables(respaced(full, self.kept))

    @classmethod
    def spaced(cls, config: SDMConfig, text: str) -> Process:
        """Of the steps that a text of `timestep_respacing` means. Raises UsageError for texts that mean nothing, and for one step alone."""
        kept = spaced_steps(config.diffusion_steps, text)
        if len(kept) < 2:
            raise UsageError(f"spacing={text} leaves one step: a process has at least 2.")
        return cls(config, kept)

    def __len__(self) -> int:
        return len(self.kept)

    def look_up(self, name: str, t: Tensor) -> Tensor:
        """Entries of the table `name`, float32 [B, 1, 1, 1]."""
        table = torch.from_numpy(getattr(self.tables, name)).to(torch.float32)
        return table.to(t.device)[t][:, None, None, None]

    def times(self, t: Tensor) -> Tensor:
        """What the network sees: the steps of the trained process, int64 [B], or as float in 0..1000."""
        steps = torch.tensor(self.kept, device=t.device)[t]
        return steps.float() * (1000.0 / self.config.diffusion_steps) if self.config.rescale_timesteps else steps

    def noisy(self, xstart: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """x_t of pictures in [-1, 1]."""
        kept, added = self.look_up("sqrt_alphas_cumprod", t), self.look_up("sqrt_one_minus_alphas_cumprod", t)
        return kept * xstart + added * noise

    def posterior_mean(self, xstart: Tensor, x: Tensor, t: Tensor) -> Tensor:
        """The mean of x_{t-1} where picture and x_t are known."""
        return self.look_up("posterior_mean_coef1", t) * xstart + self.look_up("posterior_mean_coef2", t) * x

    def predict(self, output: Tensor, x: Tensor, t: Tensor, *, clip: bool) -> Prediction:
        """From the network's output [B, 6 or 3, H, W] for x_t. clip: the picture is clipped to [-1, 1]."""
        told, shares = output[:, :3], output[:, 3:]
        if self.config.learn_sigma:
            share = (shares + 1) / 2  # not clamped: quirk of all networks of this kind
            low, high = self.look_up("posterior_log_variance_clipped", t), self.look_up("log_betas", t)
            log_variance = share * high + (1 - share) * low
        else:
            log_variance = self.look_up("large_log_variance", t)
        xstart = told if self.config.predict_xstart else self.xstart_of(told, x, t)
        if clip:
            xstart = xstart.clamp(-1, 1)
        return Prediction(self.posterior_mean(xstart, x, t), log_variance, xstart)

    def xstart_of(self, eps: Tensor, x: Tensor, t: Tensor) -> Tensor:
        """The picture that x_t is noise of."""
        return self.look_up("sqrt_recip_alphas_cumprod", t) * x - self.look_up("sqrt_recipm1_alphas_cumprod", t) * eps

    def eps_of(self, xstart: Tensor, x: Tensor, t: Tensor) -> Tensor:
        """The noise in x_t if this is its picture."""
        return (self.look_up("sqrt_recip_alphas_cumprod", t) * x - xstart) / self.look_up(
            "sqrt_recipm1_alphas_cumprod", t
        )

    # --- steps backwards ------------------------------------------------------------------------------------------

    def ancestral(self, found: Prediction, noise: Tensor | None) -> Tensor:
        """x_{t-1} as DDPM draws it; noise [B, 3, H, W], None in the last step."""
        if noise is None:
            return found.mean
        return found.mean + torch.exp(0.5 * found.log_variance) * noise

    def implicit(self, found: Prediction, x: Tensor, t: Tensor, noise: Tensor | None, eta: float) -> Tensor:
        """x_{t-1} as DDIM has it, with the share eta of DDPM's noise; the noise in x_t is that of the (clipped) picture."""
        eps = self.eps_of(found.xstart, x, t)
        here, before = self.look_up("alphas_cumprod", t), self.look_up("alphas_cumprod_prev", t)
        sigma = eta * torch.sqrt((1 - before) / (1 - here)) * torch.sqrt(1 - here / before)
        mean = found.xstart * torch.sqrt(before) + torch.sqrt(1 - before - sigma**2) * eps
        return mean if noise is None else mean + sigma * noise
