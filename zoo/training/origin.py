"""What is to be said of the data of a training: of a run of the zoo, the terms of the models that made it."""

from __future__ import annotations

from zoo.cards import all_cards, read_card
from zoo.cards.licenses import UNKNOWN as NOT_KNOWN
from zoo.cards.licenses import permits_commercial_use
from zoo.data.facts import UNKNOWN, DataFacts, facts_of
from zoo.data.places import PLACED, folders_of
from zoo.data.runs import Maker, run_of
from zoo.data.specs import DataSpec
from zoo.errors import ZooError
from zoo.files.private import public_text
from zoo.hub import resolve
from zoo.training.plan import place_of

HOLDS = "holds photos of"
OWN_INPUTS = "maps, photos or styles that its user put in: unknown"


def facts_of_data(spec: DataSpec) -> DataFacts:
    """The facts of a data set by its name, of `folder:` and `shards:` those of the runs that lie there; UNKNOWN where nothing tells.

    What the models of a run made is under their terms and under those of what they learned from. It may be used commercially only if all
    of that is known to permit it, and then the licence is all of theirs; else the text names each model with its terms.
    """
    if spec.name not in PLACED or spec.path is None:
        return facts_of(spec.name)
    runs = [run_of(place, files=False) for place in folders_of(place_of(spec) or spec.path)]
    if not any(run.makers for run in runs):
        return UNKNOWN
    makers = {repr((m.id, m.files)): m for run in runs for m in run.makers}
    stated = [(_named(maker), *_terms(maker)) for maker in makers.values()]
    terms = [t for _, weights, data in stated for t in (weights, data)]
    others = [OWN_INPUTS] if any(run.inputs for run in runs) else []
    others += ["pictures of unknown origin: unknown"] if not all(run.makers for run in runs) else []
    title = f"what {', '.join(name for name, _, _ in stated)} made"
    if not others and all(permits_commercial_use(t) for t in terms):
        licence = " AND ".join(f"({t})" if " OR " in t else t for t in dict.fromkeys(terms))
        if permits_commercial_use(licence):
            return DataFacts(title, "pairs", licence, licence)
    told = "; ".join([*(f"{name} (weights: {w}; its data: {d})" for name, w, d in stated), *others])
    forbidding = [t for t in terms if not permits_commercial_use(t) and t != NOT_KNOWN]
    head = (
        "non-commercial research only"
        if any("non-commercial" in t for t in forbidding)
        else "terms of all that went in"
    )
    return DataFacts(title, "pairs", f"made by {told}", f"{head} (trained on what these made: {told})")


def photos_held(file: str, data: str, terms: str) -> str:
    """For the limits of a card: an asset in which photos of the data themselves lie."""
    return (
        f"{file} {HOLDS} {data} themselves: whoever passes it on passes those on, and their terms go with it ({terms})."
    )


def _named(maker: Maker) -> str:
    return public_text(maker.id) if maker.id else "a model without a name"


def _terms(maker: Maker) -> tuple[str, str]:
    """Licences of a model's weights and data by its card, which must be of these very files; else unknown."""
    card = all_cards().get(maker.id)
    if card is None or not _same(card.files, maker.files):
        try:
            card = read_card(resolve(maker.source).folder)
        except ZooError:
            card = None
    if card is None or not _same(card.files, maker.files):
        return NOT_KNOWN, NOT_KNOWN
    return tuple(public_text(str(card.facts.get(f"{n}_license") or NOT_KNOWN)) for n in ("weights", "data"))  # pyright: ignore[reportReturnType]


def _same(listed: dict[str, str], files: dict[str, str] | None) -> bool:
    return bool(files) and listed == files
