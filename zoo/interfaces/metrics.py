"""What a metric that `zoo eval` runs owes: which subjects it measures, and figures with the protocol they were made by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

    from zoo.data.pairs import PairData
    from zoo.interfaces.models import MaskParser, Model
    from zoo.maps import SemanticMap

T = TypeVar("T")
SUBJECTS = ("parser", "synthesizer", "generator", "translator", "judge", "composition", "folder")
"""What is measured: a model of one of these roles, a generator with a synthesizer, or a folder of pictures that another system made."""


@dataclass(frozen=True)
class Measured:
    """What a metric found.

    scores: figures by name, nested at will (one entry for each kind of picture); NaN where a figure cannot be had (null in JSON).
    protocol: how they were made: counts, sizes, extractor, seeds, classes. warnings: what a reader must know of them, in sentences.
    """

    scores: Mapping[str, Any]
    protocol: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()


class Evidence(Protocol):
    """What a metric may ask for; each thing is made when it is first asked for, once. Tensors lie on the CPU.

    subject: one of SUBJECTS. model: None for a folder. data: the pairs it is measured on, at the subject's resolution and in its
    label space. indices: which of the pairs, in order. seed: of all that is drawn. samples: how many maps a generator draws.
    styles: how many pictures of a map the metrics of diversity take, and of how many maps (styled).
    """

    subject: str
    model: Model | None
    data: PairData
    indices: Sequence[int]
    seed: int
    samples: int
    styles: int
    styled: int

    @property
    def paired(self) -> bool:
        """Whether picture i is of map i and photo i (False: a folder whose pictures have names of their own)."""
        ...

    @property
    def photos(self) -> Tensor:
        """float32 [N, 3, H, W] in [0, 1]. Raises DataError for data of maps alone."""
        ...

    @property
    def maps(self) -> SemanticMap:
        """The maps of the pairs, [N, H, W]."""
        ...

    @property
    def pictures(self) -> Mapping[str, Tensor]:
        """By kind of picture (`encoded_style`, `random_style`, `image`; of a translator `to DOMAIN`): float32 [N, 3, H, W] in [0, 1]."""
        ...

    def truth(self, name: str) -> Tensor:
        """The photos that pictures of this kind are compared with as a distribution: `photos`, of a translator those of the domain."""
        ...

    @property
    def shown(self) -> SemanticMap:
        """The maps that the pictures should show: `maps`, of a composition those that its generator drew."""
        ...

    def keep(self, key: str, make: Callable[[], T]) -> T:
        """What `make` gives, made once for all metrics that ask under this key."""
        ...

    @property
    def parser(self) -> MaskParser:
        """The judge that reads pictures, in evaluation mode."""
        ...

    def features(self, images: Tensor) -> Tensor:
        """The extractor's features of pictures, float64 [N, D]; raises UsageError where its weights are not installed."""
        ...

    def facts(self, *names: str) -> dict[str, Any]:
        """Parts of a protocol: `counts`, `resize`, `extractor`, `parser`, `seed`, `classes`."""
        ...


@dataclass(frozen=True)
class Metric:
    """A named metric of `zoo eval`: a plugin registers one as `metrics={"NAME": "module:OBJECT"}`.

    about: one line. subjects: those of SUBJECTS that it measures. pairs: it needs pictures that are paired with maps or photos.
    applies: says of the evidence why it cannot be measured ("" where it can), before anything is made.
    """

    about: str
    subjects: tuple[str, ...]
    measure: Callable[[Any], Measured]
    pairs: bool = False
    applies: Callable[[Any], str] | None = None

    def __call__(self, evidence: Evidence) -> Measured:
        return self.measure(evidence)

    def refusal(self, evidence: Evidence) -> str:
        """Why it cannot be measured on this, in words that follow its name, or ""."""
        if evidence.subject not in self.subjects:
            return f"is for {' and '.join(self.subjects)}, this is a {evidence.subject}"
        if self.pairs and not evidence.paired:
            return (
                "compares each picture with its own map or photo, and these have names that the data set does not know"
            )
        return self.applies(evidence) if self.applies else ""
