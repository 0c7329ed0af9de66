"""The models of a server: loaded in their inference form when they are first needed, the longest unused out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

import torch

from zoo.api import pick_device
from zoo.composition.chain import Composition
from zoo.composition.checks.styles import style_form
from zoo.composition.models import Named, load_named
from zoo.composition.roles import check_kind
from zoo.errors import ZooError
from zoo.hub import Resolved
from zoo.interfaces.capabilities import EncodesStyle
from zoo.interfaces.models import ImageSynthesizer, MaskParser
from zoo.labels import LabelSpace
from zoo.maps import SemanticMap
from zoo.web.bounded import Recent
from zoo.web.facts import StyleForm
from zoo.web.limits import LOCAL, Limits
from zoo.web.offers import Offer, Offers, join_fault

LOAD_FACTOR = 6
"""Bytes that a loaded model takes, against the bytes of its files (half precision there, tables beside the weights here)."""


class Pool:
    """Loaded models by offer. One thread at a time works with a model (`using`): its scratch memory is its own."""

    def __init__(self, offers: Offers, device: str = "cpu", limits: Limits = LOCAL) -> None:
        """device: as of `zoo.compose`. Raises UsageError for one that is not there."""
        self.offers, self.limits = offers, limits
        self.device = str(pick_device(device))
        self._loaded = Recent(limits.models)
        self._locks: dict[str, threading.RLock] = {}
        self._guard = threading.Lock()
        self._forms: dict[str, StyleForm] = {}
        self._faults: dict[str, ZooError] = {}

    def lock(self, offer: Offer) -> threading.RLock:
        """Held by whoever works with a model."""
        with self._guard:
            return self._locks.setdefault(offer.id, threading.RLock())

    @contextmanager
    def using(self, *offers: Offer, wait: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Alone with these models. wait: called while another job has one of them; what it raises ends the waiting."""
        held = []
        try:
            for offer in sorted(offers, key=lambda o: o.id):  # one order for all, so that no two wait for each other
                lock = self.lock(offer)
                while not lock.acquire(timeout=0.1):
                    wait()
                held.append(lock)
            yield
        finally:
            for lock in reversed(held):
                lock.release()

    def named(self, offer: Offer) -> Named:
        """The model, in its inference form. Raises WeightsError, PluginError and what else loading raises."""
        found = self._loaded.get(offer.id)
        if found is not None:
            return found
        assert offer.folder is not None
        with self.lock(offer):
            found = self._loaded.get(offer.id)
            if found is None:
                with torch.inference_mode(False):
                    made = load_named(
                        str(offer.folder.absolute()),
                        self.device,
                        partial(check_kind, (offer.kind,)),
                        kinds=(offer.kind,),
                    )
                found = Named(made.model, Resolved(offer.id, offer.folder, offer.id))
                self._loaded.put(offer.id, found, LOAD_FACTOR * max(offer.bytes, 1))
            return found

    def composition(
        self, generator: Offer | None, synthesizer: Offer | None, parser: Offer | None = None
    ) -> Composition:
        """The two joined as `zoo.compose` joins them. Raises LabelError where they have no class in common."""
        pair = [None if offer is None else self.named(offer) for offer in (generator, synthesizer)]
        reader = None if parser is None else self.named(parser).model
        return Composition(*pair, parser=reader, device=self.device)

    def parser_for(self, space: LabelSpace) -> Offer:
        """The parser of photos for a label space: of the same space, else the first that joins. Raises ZooError where none does."""
        here = [o for o in self.offers.of("parser") if o.folder is not None]
        for offer in sorted(here, key=lambda o: o.space.names != space.names):
            if join_fault(offer.space, space) is None:
                return offer
        raise ZooError(f"No parser here reads the classes of {space.name} in photos: give the photo's map, too.")

    def parser(self, offer: Offer) -> MaskParser:
        """A parser, loaded."""
        model = self.named(offer).model
        assert isinstance(model, MaskParser)
        return model

    def styles(self, offer: Offer) -> StyleForm:
        """What styles a synthesizer has. Raises what loading it raises."""
        lock = self.lock(offer)
        while not lock.acquire(timeout=0.05):
            if offer.id in self._forms:  # the job that has the model has found it out
                return self._forms[offer.id]
        try:
            if offer.id not in self._forms:
                with torch.inference_mode():
                    self._forms[offer.id] = _form(self.named(offer).model)
            return self._forms[offer.id]
        finally:
            lock.release()

    def form(self, offer: Offer) -> StyleForm | None:
        """The same for the facts: a small model is loaded for that; of a large one it is known once it was used (None till then).

        Raises ZooError for one that cannot be loaded; that is not tried again.
        """
        if offer.id in self._faults:
            raise self._faults[offer.id]
        if offer.id not in self._forms and offer.bytes <= self.limits.described:
            try:
                return self.styles(offer)
            except ZooError as error:
                self._faults[offer.id] = error
                raise
        return self._forms.get(offer.id)

    def warm(self) -> None:
        """Load what `form` looks at, so that the page does not wait for it."""
        for offer in self.offers.of("synthesizer"):
            if offer.folder is not None:
                with suppress(ZooError):  # the facts say it
                    self.form(offer)


def _form(model: object) -> StyleForm:
    assert isinstance(model, ImageSynthesizer)
    can = model.capabilities()
    style = style_form(model)
    if style is None and "style:photo" in can:  # it takes those of photos alone: a grey one has the form
        assert isinstance(model, EncodesStyle)
        size = model.resolution
        plain = SemanticMap(torch.zeros(1, *size, dtype=torch.long), model.label_space)
        style = model.encode_style(torch.full((1, 3, *size), 0.5), plain)
    if style is None:
        return StyleForm((), (), can)
    axes = {axis for names in style.axes.values() for axis in names}
    return StyleForm(style.classes if "class" in axes else (), style.layers, can)
