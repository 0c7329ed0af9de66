"""The whole network: scene graph -> boxes and masks -> layout -> picture (docs/papers/sg2im.md). Keys are the authors'."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from zoo_plugins.sg2im.config import Sg2imConfig
from zoo_plugins.sg2im.graph_net import GraphTripleConv, GraphTripleConvNet, init_kaiming, mlp
from zoo_plugins.sg2im.placing import Degenerate, compose, flat_masks, spread
from zoo_plugins.sg2im.refinement import RefinementNetwork


class Graphs(NamedTuple):
    """A batch of scene graphs. objects: int64 [O], the embedding of each; triples: int64 [T, 3], subject, predicate, object, of which the
    first and last are places in `objects`; images: int64 [O], the graph of each object; count: of graphs."""

    objects: Tensor
    triples: Tensor
    images: Tensor
    count: int

    def to(self, device: torch.device | str) -> Graphs:
        """The same on another device."""
        return Graphs(self.objects.to(device), self.triples.to(device), self.images.to(device), self.count)


class Read(NamedTuple):
    """What the graph network makes of graphs. vectors: [O, gconv_dim]; boxes: [O, 4], not negative; masks: [O, M, M] in (0, 1), or None;"""

    vectors: Tensor
    boxes: Tensor
    masks: Tensor | None


class Outputs(NamedTuple):
    """images: [N, 3, H, W], ImageNet-normalised; boxes, masks: as predicted; relations: [T, predicates], scores of each triple's
    predicate."""

    images: Tensor
    boxes: Tensor
    masks: Tensor | None
    relations: Tensor


def mask_net(width: int, side: int) -> nn.Sequential:
    """[O, width, 1, 1] -> [O, 1, side, side]: doublings by the nearest, each with a batch norm, a 3x3 convolution and a ReLU."""
    layers: list[nn.Module] = []
    for _ in range(side.bit_length() - 1):
        layers += [
            nn.Upsample(scale_factor=2.0),
            nn.BatchNorm2d(width),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, nn.Conv2d(width, 1, 1))


class Sg2imNetwork(nn.Module):
    """objects, predicates: rows of their vocabularies, the picture's own object and predicate (number 0) included."""

    def __init__(self, config: Sg2imConfig, objects: int, predicates: int) -> None:
        super().__init__()
        self.config = config
        e, d, hidden, norm = config.embedding_dim, config.gconv_dim, config.gconv_hidden_dim, config.mlp_norm
        self.obj_embeddings = nn.Embedding(objects + 1, e)  # the last row is nobody's, as in the authors'
        self.pred_embeddings = nn.Embedding(predicates, e)
        if config.gconv_layers == 0:
            self.gconv: nn.Module = nn.Linear(e, d)
        else:
            self.gconv = GraphTripleConv(e, d, hidden, pooling=config.gconv_pooling, norm=norm)
        self.gconv_net = None
        if config.gconv_layers > 1:
            self.gconv_net = GraphTripleConvNet(
                d, config.gconv_layers - 1, hidden, pooling=config.gconv_pooling, norm=norm
            )
        self.box_net = mlp((d, hidden, 4), norm)
        self.mask_net = mask_net(d, config.mask_size) if config.mask_size else None
        self.rel_aux_net = mlp((2 * e + 8, hidden, predicates), norm)
        self.refinement_net = RefinementNetwork(
            d + config.noise_dim, config.refinement_dims, norm=config.norm, slope=config.slope
        )

    def read(self, graphs: Graphs) -> Read:
        """Object vectors, boxes and masks; a function of the graphs alone, and of each graph alone in evaluation mode."""
        vectors = self.convolve(graphs)
        masks = None
        if self.mask_net is not None:
            masks = self.mask_net(vectors[:, :, None, None])[:, 0].sigmoid()
        return Read(vectors, self.box_net(vectors), masks)

    def convolve(self, graphs: Graphs) -> Tensor:
        """Object vectors [O, gconv_dim]."""
        vectors, predicates = self.obj_embeddings(graphs.objects), self.pred_embeddings(graphs.triples[:, 1])
        if not isinstance(self.gconv, GraphTripleConv):
            return self.gconv(vectors)
        edges = graphs.triples[:, ::2]
        vectors, predicates = self.gconv(vectors, predicates, edges)
        return vectors if self.gconv_net is None else self.gconv_net(vectors, predicates, edges)[0]

    def relations(self, graphs: Graphs, boxes: Tensor) -> Tensor:
        """Scores of the predicate of each triple [T, predicates], from both boxes and both embeddings."""
        subject, other = graphs.triples[:, 0], graphs.triples[:, 2]
        embedded = self.obj_embeddings(graphs.objects)
        return self.rel_aux_net(torch.cat([boxes[subject], boxes[other], embedded[subject], embedded[other]], 1))

    def layout(
        self, graphs: Graphs, vectors: Tensor, boxes: Tensor, masks: Tensor | None, *, degenerate: Degenerate = "nan"
    ) -> Tensor:
        """The layout [N, gconv_dim, H, W] of objects in these boxes; masks None: the boxes are the masks."""
        masks = flat_masks(boxes) if masks is None or self.mask_net is None else masks
        placed = spread(masks, boxes, self.config.size, align_corners=self.config.align_corners, degenerate=degenerate)
        return compose(vectors, placed, graphs.images, graphs.count)

    def paint(self, layout: Tensor, noise: Tensor | None) -> Tensor:
        """Pictures [N, 3, H, W] of a layout and noise [N, noise_dim, H, W]; None where there is none."""
        return self.refinement_net(layout if noise is None else torch.cat([layout, noise.to(layout)], 1))

    def forward(
        self, graphs: Graphs, noise: Tensor | None, boxes: Tensor | None = None, masks: Tensor | None = None
    ) -> Outputs:
        """noise: [N, noise_dim, H, W] from N(0, 1), None without noise; boxes, masks: to be used in place of the predicted ones."""
        read = self.read(graphs)
        layout = self.layout(
            graphs,
            read.vectors,
            read.boxes if boxes is None else boxes,
            read.masks if masks is None else masks.to(read.boxes),
        )
        return Outputs(self.paint(layout, noise), read.boxes, read.masks, self.relations(graphs, read.boxes))


__all__ = ["Graphs", "Outputs", "Read", "Sg2imNetwork", "init_kaiming", "mask_net"]
