"""Training of sg2im: boxes, masks and pictures together, against a discriminator of objects and one of pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from zoo.nn.one_batch import batch_mean
from zoo.plugin import Batch, ConfigError, DataError, Model, PairData, Rng, RngLike, Trainer, Update
from zoo_plugins.sg2im.config import GEOMETRIC, Sg2imTraining
from zoo_plugins.sg2im.discriminators import ObjectDiscriminator, PatchDiscriminator
from zoo_plugins.sg2im.drawn import Drawn, scene_graphs
from zoo_plugins.sg2im.losses import discriminator_loss, generator_loss
from zoo_plugins.sg2im.model import Sg2im
from zoo_plugins.sg2im.network import Outputs
from zoo_plugins.sg2im.pictures import normalised, shown
from zoo_plugins.sg2im.scenes import Scene, scenes_of
from zoo_plugins.sg2im.synthesizer import Sg2imPainter

VALIDATION_BATCH = 16


class Step(NamedTuple):
    """A batch as the losses see it: graphs with true boxes and masks; photos [N, 3, H, W], ImageNet-normalised; noise as `paint`
    takes it."""

    drawn: Drawn
    photos: Tensor
    noise: Tensor | None


class Sg2imTrainer(Trainer):
    """Per batch an update of the generator, of the object discriminator and of the picture discriminator, the latter two on the fake made
    before the first (docs/papers/sg2im.md, "Training").

    Random: relations, keys ("relations", step, …), and the layout's noise, key ("noise", step).
    """

    model: Sg2im | Sg2imPainter
    options: Sg2imTraining
    lower_is_better: ClassVar[frozenset[str]] = frozenset({"l1"})

    def __init__(self, model: Model, options: Sg2imTraining) -> None:
        """Raises ConfigError for discriminators that cannot be built, and where relations are drawn of predicates that are not those of
        places."""
        super().__init__(model, options)
        config = self.model.config
        if options.relations and config.predicates != GEOMETRIC:
            raise ConfigError(
                "sg2im draws relations from where objects lie, which are"
                f" {', '.join(GEOMETRIC)}: give these predicates, or relations=false."
            )
        self.objects = self.pictures = None
        shared = {"norm": options.d_norm, "padding": options.d_padding, "slope": options.d_slope}
        if options.lambda_gan * options.lambda_object:
            self.objects = ObjectDiscriminator(
                self.model.vocabulary.objects, options.d_object, side=options.crop_size, align_corners=config.align_corners, **shared
            )  # fmt: skip
        if options.lambda_gan * options.lambda_picture:
            self.pictures = PatchDiscriminator(options.d_picture, **shared)
        self._check_sizes()
        self._optimizers: dict[str, Optimizer] = {}
        self._admitted: list[int] | None = None

    def _check_sizes(self) -> None:
        """Raises ConfigError for convolutions that pictures or crops are too small for."""
        sides = {
            "d_object": (self.objects and self.objects.discriminator.cnn[0], (self.options.crop_size,) * 2),
            "d_picture": (self.pictures and self.pictures.cnn, self.model.resolution),
        }
        for name, (layers, size) in sides.items():
            if layers is None:
                continue
            try:
                with torch.no_grad():
                    layers.eval()(torch.zeros(1, 3, *size))
            except RuntimeError as error:
                raise ConfigError(
                    f"{name}={getattr(self.options, name)!r} does not fit pictures of {size[0]} x {size[1]} pixels: give fewer or smaller"
                    " convolutions, or larger pictures (crop_size)."
                ) from error

    @property
    def networks(self) -> dict[str, nn.Module]:
        """`model`, and those there are of `objects` and `pictures` (the discriminators)."""
        judges = {"objects": self.objects, "pictures": self.pictures}
        return {"model": self.model, **{n: d for n, d in judges.items() if d is not None}}

    def optimizers(self) -> dict[str, Optimizer]:
        """Names: generator, objects, pictures; each an Adam."""
        if not self._optimizers:
            for name, network in self.networks.items():
                own = "generator" if name == "model" else name
                self._optimizers[own] = Adam(network.parameters(), lr=self.options.lr, betas=self.options.betas)
        return self._optimizers

    def rates(self, epoch: float, step: int) -> dict[str, float]:
        """Constant."""
        del epoch, step
        return dict.fromkeys(self.optimizers(), self.options.lr)

    # --- data -----------------------------------------------------------------------------------------------------

    def prepare(self, data: PairData) -> None:
        """Raises DataError for maps without photos, before anything is written."""
        if not data.has_images:
            raise DataError("sg2im learns from photos with their maps, and this data set holds maps alone.")

    def epoch_order(self, epoch: int, data: PairData) -> Sequence[int] | None:
        """The pairs whose number of objects the options allow, in a seeded order. Raises DataError if there is none."""
        o = self.options
        if o.min_objects <= 0 and not o.max_objects:
            return None
        if self._admitted is None:
            self._admitted = [
                start + row
                for start in range(0, len(data), VALIDATION_BATCH)
                for row, scene in enumerate(
                    self._all(data.batch(range(start, min(start + VALIDATION_BATCH, len(data)))))
                )
                if o.min_objects <= len(scene) and (not o.max_objects or len(scene) <= o.max_objects)
            ]
            if not self._admitted:
                raise DataError(
                    f"No map has {o.min_objects} to {o.max_objects or 'any number of'} objects larger than {o.min_object_size:g} of the"
                    " picture: set min_objects, max_objects or min_object_size."
                )
        keys = Rng(o.seed).uniform("epoch", epoch, shape=(len(self._admitted),))[0]
        return [self._admitted[i] for i in keys.argsort(stable=True).tolist()]

    def _all(self, batch: Batch) -> list[Scene]:
        vocabulary, o = self.model.vocabulary, self.options
        return scenes_of(
            batch.maps, vocabulary.values, self.model.config.mask_size, objects=o.objects, min_size=o.min_object_size
        )

    def scenes(self, batch: Batch) -> list[Scene]:
        """The objects of each map of a batch; of more than `max_objects` (after augmentation) the largest."""
        most, found = self.options.max_objects, self._all(batch)
        return [s if not most or len(s) <= most else s.take(_largest(s, most)) for s in found]

    def step_of(self, batch: Batch, rng: RngLike, step: int) -> Step:
        """What the losses look at."""
        assert batch.images is not None  # `prepare` has seen to it
        config, device = self.model.config, batch.images.device
        drawn = scene_graphs(
            self.scenes(batch), self.model.vocabulary, rng.within("relations", step), relations=self.options.relations
        )
        noise = rng.normal("noise", step, shape=(config.noise_dim, *config.size)) if config.noise_dim else None
        return Step(drawn.to(device), normalised(batch.images), None if noise is None else noise.to(device))

    # --- one batch ------------------------------------------------------------------------------------------------

    def updates(self, batch: Batch, rng: RngLike, step: int) -> Iterator[Update]:
        if step >= self.options.eval_mode_after:
            self.model.eval()
            if step == self.options.eval_mode_after:
                self.optimizers()["generator"].state.clear()
        given = self.step_of(batch, rng, step)
        made = self.forward(given)
        yield Update(self.generator_losses(given, made), ("generator",))
        fake = made.images.detach()
        if self.objects is not None:
            yield Update(self.object_losses(given, fake), ("objects",))
        if self.pictures is not None:
            yield Update(self.picture_losses(given, fake), ("pictures",))

    def forward(self, given: Step) -> Outputs:
        """Pictures painted from the true boxes, and the true or the predicted masks."""
        masks = given.drawn.masks if self.options.masks == "map" else None
        return self.model.generator(given.drawn.graphs, given.noise, boxes=given.drawn.boxes, masks=masks)

    def generator_losses(self, given: Step, made: Outputs) -> dict[str, Tensor]:
        """Weighted terms; those of weight 0 are not there."""
        o, (graphs, boxes, masks) = self.options, given.drawn
        losses = {}
        if o.lambda_pixel:
            losses["pixel"] = o.lambda_pixel * F.l1_loss(made.images, given.photos)
        if o.lambda_box:
            losses["box"] = o.lambda_box * batch_mean(F.mse_loss(made.boxes, boxes), len(boxes))
        if o.lambda_mask and made.masks is not None and o.masks == "map":
            with torch.autocast(made.masks.device.type, enabled=False):
                losses["mask"] = o.lambda_mask * batch_mean(
                    F.binary_cross_entropy(made.masks.float(), masks), len(masks)
                )
        if o.lambda_predicate:
            told = F.cross_entropy(made.relations, graphs.triples[:, 1])
            losses["predicate"] = o.lambda_predicate * batch_mean(told, len(graphs.triples))
        if self.objects is not None:
            scores, classes = self.objects(made.images, boxes, graphs.images)
            if o.lambda_class:
                losses["class"] = o.lambda_class * batch_mean(F.cross_entropy(classes, graphs.objects), len(boxes))
            judged = batch_mean(generator_loss(scores, o.gan_mode), len(boxes))
            losses["gan_object"] = o.lambda_gan * o.lambda_object * judged
        if self.pictures is not None:
            losses["gan_picture"] = (
                o.lambda_gan * o.lambda_picture * generator_loss(self.pictures(made.images), o.gan_mode)
            )
        return losses

    def object_losses(self, given: Step, fake: Tensor) -> dict[str, Tensor]:
        """Of the object discriminator, on the fake and then on the photos."""
        assert self.objects is not None
        graphs, boxes, _ = given.drawn
        on_fake, classes_fake = self.objects(fake, boxes, graphs.images)
        on_real, classes_real = self.objects(given.photos, boxes, graphs.images)
        return {
            "d_object": batch_mean(discriminator_loss(on_real, on_fake, self.options.gan_mode), len(boxes)),
            "d_class_real": batch_mean(F.cross_entropy(classes_real, graphs.objects), len(boxes)),
            "d_class_fake": batch_mean(F.cross_entropy(classes_fake, graphs.objects), len(boxes)),
        }

    def picture_losses(self, given: Step, fake: Tensor) -> dict[str, Tensor]:
        """Of the picture discriminator, on the fake and then on the photos."""
        assert self.pictures is not None
        on_fake = self.pictures(fake)
        return {"d_picture": discriminator_loss(self.pictures(given.photos), on_fake, self.options.gan_mode)}

    def statistics(self, batch: Batch, rng: RngLike) -> None:
        """A forward of the batch, for the batch norms' statistics."""
        self.forward(self.step_of(batch, rng, 0))

    # --- looking at it --------------------------------------------------------------------------------------------

    @torch.no_grad()
    def preview(self, batch: Batch, rng: RngLike) -> dict[str, Tensor]:
        """The photos and their maps; pictures from true boxes and masks, and from predicted ones."""
        assert batch.images is not None
        given, generator = self.step_of(batch, rng, 0), self.model.generator
        free = generator.read(given.drawn.graphs)
        layout = generator.layout(given.drawn.graphs, free.vectors, free.boxes, free.masks, degenerate="drop")
        return {
            "photo": batch.images,
            "map": batch.maps.colorize(),
            "true-layout": shown(self.forward(given).images.float()),
            "own-layout": shown(generator.paint(layout, given.noise).float()),
        }

    @torch.no_grad()
    def validate(self, data: PairData) -> dict[str, float]:
        """On held-out pairs (draws of seed 0), means over objects, the pictures' own left out: mask_iou, of predicted masks with the true
        ones; box_iou, of predicted boxes with the true ones. l1: mean absolute difference of pictures from true boxes and masks to the
        photos, ImageNet-normalised (lower is better)."""
        masks, boxes, l1, seen = [], [], [], 0
        for batch in data.batches(VALIDATION_BATCH):
            if batch.images is None:
                raise DataError("Validation of sg2im needs photos, and this data set holds maps alone.")
            batch = batch.to(self.model.device)
            assert batch.images is not None
            given = self.step_of(batch, Rng(0, range(seen, seen + len(batch))).within("validate"), 0)
            made = self.forward(given)
            real = given.drawn.graphs.objects > 0
            boxes.append(box_iou(made.boxes[real].float(), given.drawn.boxes[real]))
            if made.masks is not None:
                masks.append(mask_iou(made.masks[real] > 0.5, given.drawn.masks[real] > 0.5))
            l1.append((made.images.float() - given.photos).abs().mean((1, 2, 3)))
            seen += len(batch)
        scores = {"mask_iou": masks, "box_iou": boxes, "l1": l1}
        return {
            name: float(torch.cat(rows).mean()) if rows and len(torch.cat(rows)) else 0.0
            for name, rows in scores.items()
        }


def _largest(scene: Scene, most: int) -> list[int]:
    """Places of the objects with the largest boxes, in their order."""
    sides = scene.boxes[:, 2:] - scene.boxes[:, :2]
    return sorted(sides.prod(1).argsort(descending=True, stable=True)[:most].tolist())


def box_iou(one: Tensor, other: Tensor) -> Tensor:
    """Intersection over union of boxes in pairs: [O]; 0 where neither has a size."""
    sides = (torch.minimum(one[:, 2:], other[:, 2:]) - torch.maximum(one[:, :2], other[:, :2])).clamp_min(0)
    both = sides.prod(1)
    union = sum((x[:, 2:] - x[:, :2]).clamp_min(0).prod(1) for x in (one, other)) - both
    return torch.where(union > 0, both / union, 0.0)


def mask_iou(one: Tensor, other: Tensor) -> Tensor:
    """The same of masks, bool [O, M, M]."""
    both, union = (one & other).sum((1, 2)), (one | other).sum((1, 2))
    return torch.where(union > 0, both / union, 0.0)
