"""OASIS's losses: cross entropy over N + 1 classes, weighed by rarity, and LabelMix (paper section 3; docs/papers/oasis.md, "Losses").

Labels are channels int64 [B, H, W], -1 where a pixel has none; logits are [B, N + 1, H, W], 0 for fake, c + 1 for the channel c.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade.objectives import Objective, unlabeled_channel
from zoo.families.spade.options import GanOptions
from zoo.nn.labels import LabelInput
from zoo.nn.one_batch import batch_total, first_of_batch
from zoo.plugin import RngLike

FAKE = 0
"""The class of fakes among the logits."""


def class_weights(labels: Tensor, classes: int, unlabeled: int | None = None) -> Tensor:
    """Weight of each class, float32 [classes]: pixels of the batch / (pixels of the class * classes that occur), and 0 for those that do
    not occur and for `unlabeled`, which counts as no class (its pixels still count among those of the batch)."""
    counts = batch_total(torch.bincount(labels[labels >= 0], minlength=classes).float())
    pixels = float(batch_total(torch.tensor(labels.numel(), dtype=torch.float64)))
    if unlabeled is not None:
        counts[unlabeled] = 0
    occurring = counts > 0
    weights = pixels / (counts.clamp_min(1) * occurring.sum().clamp_min(1))
    return weights * occurring


def weight_map(labels: Tensor, weights: Tensor) -> Tensor:
    """The weight of each pixel [B, H, W]; 0 where it has no label."""
    return weights[labels.clamp_min(0)] * (labels >= 0)


def real_loss(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Cross entropy with the pixels' own classes, averaged over all pixels. weights: of each class [N], None: 1."""
    each = F.cross_entropy(logits.float(), labels + 1, reduction="none")
    if weights is not None:
        return (each * weight_map(labels, weights)).mean()
    return (each * (labels >= 0)).mean()


def fake_loss(logits: Tensor) -> Tensor:
    """Cross entropy with the class of fakes; no weights, and unlabelled pixels count."""
    targets = torch.full((len(logits), *logits.shape[2:]), FAKE, device=logits.device)
    return F.cross_entropy(logits.float(), targets)


def labelmix_mask(labels: Tensor, coins: Tensor, *, overwrite: bool) -> Tensor:
    """Where LabelMix takes the photo: 0 or 1, int64 [B, H, W], constant on each class of the batch. coins: 0 or 1 of each channel [N].

    overwrite: quirk kept for parity. The code writes coins into the map of class numbers itself, class by class, so pixels of
    channel 0 whose coin was 1 are taken for channel 1 next and get its coin, where that occurs in the batch.
    """
    mask = coins.to(labels)[labels.clamp_min(0)]
    if overwrite and len(coins) > 1 and bool((labels == 1).any()):
        mask = torch.where((labels == 0) & (mask == 1), coins[1].to(labels), mask)
    return mask


def mixed(real: Tensor, fake: Tensor, mask: Tensor) -> Tensor:
    """mask * real + (1 - mask) * fake, for pictures or logits [B, channels, H, W] and a mask [B, H, W]."""
    mask = mask[:, None].to(real)
    return mask * real + (1 - mask) * fake


def labelmix_loss(on_mixed: Tensor, on_real: Tensor, on_fake: Tensor, mask: Tensor) -> Tensor:
    """Mean squared distance of the logits of the mixed picture from the mixed logits. Nothing is detached: all three get gradients."""
    return F.mse_loss(on_mixed.float(), mixed(on_real.float(), on_fake.float(), mask))


class SegmentationObjective(Objective):
    """The discriminator segments photos and tells all pixels of fakes from them; the generator wants its fakes segmented like photos.

    Random: the coins of LabelMix, uniform numbers of the key ("labelmix", step), of the first sample's stream, one for each channel.
    """

    def __init__(self, network: nn.Module, label_input: LabelInput, options: GanOptions) -> None:
        """Raises LabelError if `options.unlabeled` is no class of the label space."""
        super().__init__(network, label_input, options)
        self.classes = label_input.classes
        self.unlabeled = unlabeled_channel(label_input, options.unlabeled) if options.balance else None

    def weights(self, labels: Tensor) -> Tensor | None:
        """Of each class, by the batch; None without `balance`."""
        return class_weights(labels, self.classes, self.unlabeled) if self.options.balance else None

    def generator(self, fake: Tensor, labels: Tensor) -> Tensor:
        return real_loss(self.network(fake), labels, self.weights(labels))

    def discriminator(
        self, fake: Tensor, real: Tensor, labels: Tensor, rng: RngLike, step: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor | float]]:
        coins = first_of_batch((rng.uniform("labelmix", step, shape=(self.classes,))[0] < 0.5).long())
        losses, logits = self.discriminator_losses(fake, real, labels, coins)
        logs: dict[str, Tensor | float] = {}
        for name, target in (("right_real", labels + 1), ("right_fake", torch.zeros_like(labels))):
            right = (logits[name].detach().argmax(1) == target)[labels >= 0]
            logs[name] = right.float().mean()
        return losses, logs

    def discriminator_losses(
        self, fake: Tensor, real: Tensor, labels: Tensor, coins: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """(weighted terms, logits of fakes and photos). Fakes, photos and mixed pictures are three calls of the network, as in the code:
        three power iterations."""
        on_fake, on_real = self.network(fake), self.network(real)
        losses = {"d_fake": fake_loss(on_fake), "d_real": real_loss(on_real, labels, self.weights(labels))}
        if weight := self.options.lambda_labelmix:
            mask = labelmix_mask(labels, coins, overwrite=self.options.labelmix_overwrite)
            on_mixed = self.network(mixed(real, fake, mask))
            losses["labelmix"] = weight * labelmix_loss(on_mixed, on_real, on_fake, mask)
        return losses, {"right_real": on_real, "right_fake": on_fake}
