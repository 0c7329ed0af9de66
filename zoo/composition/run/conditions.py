"""What a generator is asked for, sample by sample: label sets and scene graphs."""

from __future__ import annotations

from zoo.composition.request.requests import Request
from zoo.composition.request.scenegraphs import graphs_in
from zoo.interfaces.label_sets import LABEL_SETS, draw_label_sets
from zoo.interfaces.models import ImageGenerator, MaskGenerator
from zoo.labels import LabelSet
from zoo.rng import Rng


def label_sets(model: MaskGenerator | ImageGenerator, request: Request, rng: Rng) -> list[LabelSet]:
    """The set of the request for every sample; of several each sample's own draw by weight, by the sample's number and nothing
    else; the graph of its number; without any, sets drawn as the training data had them."""
    count = len(rng.samples)
    if request.graphs is not None:
        graphs = graphs_in(model.label_space, request.graphs)
        return [graphs[sample // request.n] for sample in rng.samples]
    if request.label_sets is not None:
        weighted = [{"labels": wanted.labels, "count": wanted.weight} for wanted in request.label_sets]
        return draw_label_sets({LABEL_SETS: weighted}, model.label_space, count, rng)
    if request.labels is None:
        return model.sample_label_sets(count, rng)
    return [model.label_space.label_set(request.labels)] * count
