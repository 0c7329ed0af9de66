"""The steps of SegVAE: one class after the other, each seeing the canvas so far (docs/papers/segvae.md, "Steps").

Rules of every pass: the canvas starts at 0 and the shape of a step reaches it before the next one (so the last class never
does); both LSTMs start at 0 and step for absent classes too, whose target row is all zero, and noise is used for every
step; only the decoder (and the losses) skip classes that no sample has. Spectral norms advance once per step in training.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo_plugins.segvae.networks import Canvas, Reads, State, sample_code

if TYPE_CHECKING:
    from zoo_plugins.segvae.model import SegVAE


@dataclass
class Code:
    """One head's output at one step, each [B, Z]."""

    mu: Tensor
    log_var: Tensor
    z: Tensor


@dataclass
class ClassStep:
    """What one step computed. channel: of the network (1..T); present: bool [B]; feat: context code [B, S]
    (the inference form computes only what the pass reads; other rows hold anything finite).

    drawn, rebuilt: logits [B, 1, R, R] of the shapes from prior and posterior codes (rows of absent samples mean nothing:
    multiply the sigmoid by presence), None where the pass does not decode them or no sample has the class.
    """

    channel: int
    present: Tensor
    feat: Tensor
    prior: Code | None = None
    posterior: Code | None = None
    drawn: Tensor | None = None
    rebuilt: Tensor | None = None

    def shape(self, logits: Tensor | None) -> Tensor | None:
        """The soft shape [B, 1, R, R]: sigmoid times presence."""
        return None if logits is None else torch.sigmoid(logits) * self.present[:, None, None, None]


def unroll(
    model: SegVAE,
    label_set: Tensor,
    *,
    truth: Tensor | None = None,
    forced: bool = False,
    eps_prior: Tensor | None = None,
    eps_posterior: Tensor | None = None,
    z: Tensor | None = None,
    decode: Collection[int] | None = None,
) -> Iterator[ClassStep]:
    """The T steps of a batch in the model's order.

    label_set: float [B, N], entry 0 is 0; a class is present where it is > 0. truth: layers [B, N, R, R] in [0, 1], channel 0
    is 0; needed with `forced` (the canvas gets the true shapes: training, edits, reconstruction) and for the posterior. A
    step reads it when it comes: what the caller writes into it between two steps, the later ones see (edits).
    eps_prior, eps_posterior: standard normals [B, T, Z] in the order of the channels; a head without them is not run (the prior's
    LSTM needs none of the posterior and the other way round). z: codes [B, T, Z] to decode in the prior's place.
    decode: the channels whose shapes are wanted (None: all); the others' are skipped, so the pass must be forced.
    In training with both heads the prior's shapes are decoded without gradient, as in the code.
    """
    state = model.config.lstm and model.prior is not None and z is None
    canvas = model.context.start(label_set, Reads(eps_posterior is not None, state, decode))
    prior_state = posterior_state = None
    before: ClassStep | None = None
    for channel in model.order:
        if before is not None:
            _advance(canvas, before, truth if forced else None)
        present = label_set[:, channel] > 0
        target = torch.zeros_like(label_set)
        target[:, channel] = present.to(target)
        step = ClassStep(channel, present, canvas.code(channel, target))
        if z is not None:
            code = z[:, channel - 1]
            step.prior = Code(code, torch.zeros_like(code), code)
        elif eps_prior is not None:
            step.prior, prior_state = _prior(model, step.feat, eps_prior[:, channel - 1], prior_state)
        if eps_posterior is not None:
            assert truth is not None
            mu, log_var, posterior_state = model.posterior(truth[:, channel, None], step.feat, target, posterior_state)
            step.posterior = Code(mu, log_var, sample_code(mu, log_var, eps_posterior[:, channel - 1]))
        if (decode is None or channel in decode) and bool(present.any()):
            _decode(model, step)
        yield step
        before = step


def _advance(canvas: Canvas, before: ClassStep, truth: Tensor | None) -> None:
    """Draw the shape of the step before: the true one, or the one drawn (soft, not thresholded)."""
    shape = before.shape(before.drawn) if truth is None else truth[:, before.channel, None]
    if shape is not None:
        canvas.draw(before.channel, shape)


def _prior(model: SegVAE, feat: Tensor, eps: Tensor, state: State | None) -> tuple[Code, State | None]:
    if model.prior is None:
        zero = torch.zeros_like(eps)
        return Code(zero, zero, eps), None
    mu, log_var, state = model.prior(feat, state)
    return Code(mu, log_var, sample_code(mu, log_var, eps)), state


def _decode(model: SegVAE, step: ClassStep) -> None:
    """Posterior first, as in the code (batch norms count the calls)."""
    if step.posterior is not None:
        step.rebuilt = _shapes(model, step, step.posterior.z)
    if step.prior is not None:
        with torch.set_grad_enabled(torch.is_grad_enabled() and step.posterior is None):
            step.drawn = _shapes(model, step, step.prior.z)


def _shapes(model: SegVAE, step: ClassStep, z: Tensor) -> Tensor:
    """Decoded rows of the samples that have the class. In training, and where gradients flow, the whole batch goes through as
    in the code: batch norms see it, and sums of gradients round alike."""
    if model.training or torch.is_grad_enabled() or bool(step.present.all()):
        return model.decoder(step.feat, z)
    rows = model.decoder(step.feat[step.present], z[step.present])
    return rows.new_zeros(len(z), *rows.shape[1:]).index_copy(0, step.present.nonzero()[:, 0], rows)
