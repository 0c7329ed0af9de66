"""Steps by the schedulers of `diffusers` (an extra: pip install 'maskzoo[diffusion]'), which give the authors' sampling to rounding.

They work on the process that the steps make among themselves, so that any choice of steps is right; the network gets the steps' numbers in the
trained process. Their tables are float32, which alone costs some 3e-5; here they are replaced by float64 ones (docs/papers/sdm.md,
"Schedulers of diffusers").
"""

# pyright: reportPrivateImportUsage=false, reportMissingImports=false
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from zoo.plugin import UsageError
from zoo_plugins.sdm.config import SDMSampling
from zoo_plugins.sdm.diffusion import Process
from zoo_plugins.sdm.sampling import Denoiser, Draw, Stepped, guide


def _library() -> Any:
    try:
        import diffusers
    except ImportError as error:
        raise UsageError(
            "library=diffusers needs that library, which is not installed: pip install 'maskzoo[diffusion]', or leave the option out"
            " (the pictures are the same to rounding)."
        ) from error
    return diffusers


def scheduler_of(process: Process, options: SDMSampling) -> Any:
    """A fresh scheduler of diffusers for these steps, its own steps numbered n-1..0. Raises UsageError where diffusers is not installed."""
    diffusers = _library()
    n, config = len(process), process.config
    fields: dict[str, Any] = {
        "num_train_timesteps": n,
        "trained_betas": process.tables.betas.tolist(),
        "clip_sample": options.clip,
        "clip_sample_range": 1.0,
        "prediction_type": "sample" if config.predict_xstart else "epsilon",
        "timestep_spacing": "leading",
        "steps_offset": 0,
    }
    if options.sampler == "ddim":
        scheduler = diffusers.DDIMScheduler(**fields, set_alpha_to_one=True)
    else:
        kind = "learned_range" if config.learn_sigma else "fixed_large"
        scheduler = _keyed(diffusers.DDPMScheduler)(**fields, variance_type=kind)
    scheduler.alphas_cumprod = torch.from_numpy(process.tables.alphas_cumprod)
    scheduler.set_timesteps(n)
    return scheduler


def _keyed(base: Any) -> Any:
    """DDPM's scheduler whose `step` adds the noise that it is given.

    diffusers draws from one generator for the whole batch, and a sample would depend on its neighbours. So its own noise is multiplied by
    nothing, and the variance that it would have had is kept for ours.
    """

    class KeyedDDPM(base):
        def _get_variance(self, t: int, predicted_variance: Any = None, variance_type: Any = None) -> Any:
            self.said = super()._get_variance(t, predicted_variance, variance_type)
            learned = self.config.variance_type == "learned_range"
            return torch.full_like(self.said, -torch.inf if learned else 0.0)

        def keyed_step(self, output: Tensor, t: int, x: Tensor, noise: Tensor | None) -> Tensor:
            mean = self.step(output, t, x, generator=torch.Generator(x.device)).prev_sample
            if noise is None:
                return mean
            learned = self.config.variance_type == "learned_range"
            return mean + (torch.exp(0.5 * self.said) if learned else self.said.sqrt()).to(x) * noise

    return KeyedDDPM


def steps_backwards(
    process: Process, denoise: Denoiser, x: Tensor, draw: Draw, options: SDMSampling
) -> Iterator[Stepped]:
    """As `zoo_plugins.sdm.sampling.steps_backwards`, with the same draws."""
    scheduler, guided = scheduler_of(process, options), options.guidance > 1
    for step in map(int, scheduler.timesteps):
        t = torch.full((len(x),), step, dtype=torch.int64, device=x.device)
        output = guide(*denoise(x, process.times(t), guided), options.guidance).float()
        fresh = step > 0 and (options.sampler == "ddpm" or options.eta > 0)
        noise = draw(process.kept[step]).to(x) if fresh else None
        if options.sampler == "ddpm":
            x = scheduler.keyed_step(output, step, x, noise)
        else:
            # the noise in x is that of the clipped picture, as the authors have it; without this flag pictures differ by up to 2
            more = {"eta": options.eta, "variance_noise": noise} if noise is not None else {"eta": 0.0}
            x = scheduler.step(output[:, :3], step, x, use_clipped_model_output=True, **more).prev_sample
        yield Stepped(x, None)
