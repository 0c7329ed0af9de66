"""One iteration of DMIT as optimizer steps, on given images, domains and draws (docs/papers/dmit.md, "An iteration")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from zoo.nn.latents import reparameterize
from zoo.nn.losses import kl_divergence
from zoo.plugin import Update
from zoo_plugins.dmit.config import DMITOptions
from zoo_plugins.dmit.losses import discriminator_loss, diversity, generator_loss, reconstruction
from zoo_plugins.dmit.networks import Posterior


@dataclass(frozen=True)
class Draws:
    """Standard normals [B, style_dim]: the noise of the styles that are read off the photos, a drawn style, and another one (needed for
    the diversity alone)."""

    eps: Tensor
    prior: Tensor
    other: Tensor | None = None


@dataclass(frozen=True)
class Networks:
    """What is trained. encoded: the discriminator of pictures in encoded styles; the one of drawn styles itself where both share one."""

    content_encoder: nn.Module
    style_encoder: nn.Module
    decoder: nn.Module
    content: nn.Module
    drawn: nn.Module
    encoded: nn.Module


@dataclass(frozen=True)
class Made:
    """What an iteration makes of its images, all [B, …].

    own, target: attributes. rec: in the own domain and style; encoded: in the target's; drawn, other: in the target's domain and drawn styles.
    style_again, content_again: read off `drawn`. cycle: back in the own domain and style, None without that loss.
    """

    images: Tensor
    own: Tensor
    target: Tensor
    draws: Draws
    content: Tensor
    posterior: Posterior
    style: Tensor
    rec: Tensor
    encoded: Tensor
    drawn: Tensor
    other: Tensor | None
    style_again: Tensor
    content_again: Tensor
    cycle: Tensor | None


def forward(
    n: Networks, images: Tensor, own: Tensor, partners: Sequence[int], draws: Draws, options: DMITOptions
) -> Made:
    """images [B, 3, H, W] in [-1, 1], own [B, attributes]; partners: whose domain and style each sample takes.

    The decoder sees all first pictures in one call, so that a batch norm (`cbbn`) and each power iteration do, too.
    """
    content = n.content_encoder(images)
    posterior = n.style_encoder(images)
    style = reparameterize(posterior.mean, posterior.logvar, draws.eps)
    target = own[list(partners)]
    codes = [(own, style), (target, style[list(partners)]), (target, draws.prior)]
    if options.lambda_div:
        assert draws.other is not None
        codes.append((target, draws.other))
    code = torch.cat([torch.cat(pair, 1) for pair in codes])
    parts = n.decoder(content.repeat(len(codes), 1, 1, 1), code).chunk(len(codes))
    rec, encoded, drawn = parts[:3]
    style_again = n.style_encoder(drawn).mean
    content_again = n.content_encoder(drawn)
    cycle = n.decoder(content_again, torch.cat([own, style], 1)) if options.lambda_cyc else None
    return Made(
        images, own, target, draws, content, posterior, style, rec, encoded, drawn, parts[3] if len(parts) > 3 else None,
        style_again, content_again, cycle,
    )  # fmt: skip


def steps(n: Networks, made: Made, o: DMITOptions, optimizers: Mapping[str, str]) -> Iterator[Update]:
    """The updates in order: three of discriminators, one of the generator, then one more of the decoder and one of the content encoder.

    optimizers: of each field of `Networks`. The gradients of the last two are taken before the generator steps; the authors took them
    after it, through the graph of before, which PyTorch has refused since 1.5.
    """
    own, target = made.own, made.target
    content = made.content.detach()
    on_fake, on_real = n.content(content, target), n.content(content, own)
    loss = discriminator_loss(on_real, None, on_fake, o.content_gan_mode)
    yield Update({"d_content": loss}, (optimizers["content"],))
    for name, judge, fake in (("drawn", n.drawn, made.drawn), ("encoded", n.encoded, made.encoded)):
        on_fake = judge(fake.detach(), target)
        on_wrong, on_real = judge(made.images, target), judge(made.images, own)
        loss = discriminator_loss(on_real, on_wrong, on_fake, o.image_gan_mode)
        yield Update({f"d_{name}": loss}, (optimizers[name],))

    losses = {
        "g_encoded": generator_loss(n.encoded(made.encoded, target), o.image_gan_mode),
        "g_drawn": generator_loss(n.drawn(made.drawn, target), o.image_gan_mode),
        "g_content": generator_loss(n.content(made.content, target), o.content_gan_mode),
        "rec": o.lambda_rec * reconstruction(made.rec, made.images, o.rec_mode),
        "kl": o.lambda_kl * kl_divergence(*made.posterior),
    }
    if made.cycle is not None:
        losses["cyc"] = o.lambda_cyc * reconstruction(made.cycle, made.images, o.rec_mode)
    styles = {"style": o.lambda_style * reconstruction(made.style_again, made.draws.prior, "l1")}
    if made.other is not None and made.draws.other is not None:
        styles["div"] = o.lambda_div * diversity(made.draws.prior, made.draws.other, made.drawn, made.other)
    contents = {"content": o.lambda_content * reconstruction(made.content, made.content_again, "l1")}
    styles, contents = taken(styles, n.decoder), taken(contents, n.content_encoder)
    yield Update(losses, tuple(optimizers[name] for name in ("decoder", "style_encoder", "content_encoder")))
    yield Update(styles, (optimizers["decoder"],))
    yield Update(contents, (optimizers["content_encoder"],))


def taken(losses: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """The same values, whose sum has the gradient in the network's parameters that it has now, whatever becomes of these."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    total = torch.stack(list(losses.values())).sum()
    gradients = torch.autograd.grad(total, parameters, retain_graph=True, allow_unused=True)
    (first, value), *others = losses.items()
    held: Any = _Taken.apply(value.detach(), gradients, *parameters)
    return {first: held, **{name: other.detach() for name, other in others}}


class _Taken(torch.autograd.Function):
    """A number whose gradient in the parameters is given."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, gradients: Sequence[Tensor | None], *parameters: Tensor) -> Tensor:
        ctx.gradients = gradients
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return None, None, *(None if g is None else g * grads[0] for g in ctx.gradients)
