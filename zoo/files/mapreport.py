"""What a map file holds, for people who do not know: `zoo mask inspect`. No torch in here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zoo.errors import LabelError
from zoo.files.mapfaults import general_fix, many_values
from zoo.files.mapfiles import MapFile, fitting_spaces, read_by_colors, to_values
from zoo.files.mapguess import Guess
from zoo.files.mapjudge import inspected, judge_file, named_by_colors, odd, off_by_one, turned
from zoo.files.mapkinds import binary, coded_ids, factor_of, smoothed, smoothed_text, swapped_space
from zoo.files.palettes import palette_doubt, palette_matches, voc_palette
from zoo.labels import IGNORE, LabelSpace

ROWS = 64
"""Values or colours that are listed."""


def describe(file: MapFile, known: Sequence[LabelSpace], space: LabelSpace | None = None) -> dict[str, Any]:
    """The report, but for the file's name: mode, size, what it holds, a histogram, the label spaces it fits, the guess of its
    order, advice (texts with marks as in errors).

    known: all label spaces. space: the one to check against, if the caller names one. Classes are named only where the space
    is known: by the caller, by colours, by where parts lie, or because no other fits.
    """
    spaces = [*known, *([space] if space is not None and space not in known else [])]
    fits = [] if binary(file) else list(dict.fromkeys(fitting_spaces(file, spaces)))
    fitting = [s for s in spaces if s.name in fits]
    factor = None if file.values is None else factor_of(file.tally.keys)
    guess = _guess(file, spaces, factor)
    named = space or _named(file, fitting, guess, factor)
    count = len(file.tally)
    height, width = file.size
    advice = [f"{count} different values or colours in all; the first {ROWS} are shown."] if count > ROWS else []
    advice += _palette_advice(file, fitting)
    if space is not None:
        advice += _against(file, space, known)
    elif file.values is None:
        advice += [] if fits else _color_advice(file, spaces)
    elif (general := general_fix(file)) is not None:
        advice.append(general)
    elif not fits and (guess is None or not guess.offset):
        advice.append(_no_space(file))
    elif len(fits) > 1 and named is not None and palette_matches(file, named) and not named.voc_colored:
        advice.append(f"Its palette shows the colours of {named.name} at their own numbers.")
    elif len(fits) > 1 and guess is None:
        advice.append("The numbers alone do not tell which of these it is: say it with <<space>> (or <<mask_space>>).")
    if guess is not None:
        advice += _guess_advice(guess, space, factor)
    return {
        "mode": file.mode,
        "width": width,
        "height": height,
        "holds": _holds(file),
        "histogram": _histogram(dict(file.counts(ROWS)), width * height, named),
        "fits": fits,
        "guess": None if guess is None else guess.to_json(),
        "advice": advice,
    }


def _holds(file: MapFile) -> str:
    if file.values is None:
        return "colours"
    return "class numbers" + (" with a palette" if file.palette is not None else "")


def _histogram(counts: dict[Any, int], total: int, named: LabelSpace | None) -> list[dict[str, Any]]:
    rows = []
    for value, count in counts.items():
        row = {"value": value, "pixels": count, "share": count / total}
        if named is not None and isinstance(value, int) and 0 <= value < len(named):
            row["class"] = named.names[value]
        rows.append(row)
    return rows


def _guess(file: MapFile, spaces: Sequence[LabelSpace], factor: int | None) -> Guess | None:
    """The order of its numbers; None if its colours, not its numbers, say what its parts are."""
    if file.values is None or any(named_by_colors(file, s) for s in spaces):
        return None
    return inspected(file.values if factor is None else file.values // factor, spaces)


def _named(file: MapFile, fitting: Sequence[LabelSpace], guess: Guess | None, factor: int | None) -> LabelSpace | None:
    if factor is not None or (guess is not None and guess.offset):
        return None  # no space's names are right as it stands
    own = [s for s in fitting if palette_matches(file, s) and not s.voc_colored]
    guessed = [s for s in fitting if guess is not None and s.name == guess.space]
    shown = own or guessed
    if (file.values is not None and len(file.tally) > 1) or not own:
        return next(iter(shown), fitting[0] if len(fitting) == 1 else None)
    return None


def _palette_advice(file: MapFile, fitting: Sequence[LabelSpace]) -> list[str]:
    """What the palette says, and where the file is read by its colours, not by its numbers."""
    if file.palette is None:
        return []
    if voc_palette(file):
        return ["Its palette is Pascal VOC's colour map, which tools give to maps of any label space: it names none."]
    changed = [s.name for s in fitting if read_by_colors(file, s)]
    if not changed:
        return []
    return [f"Its palette shows the colours of {', '.join(changed)} at other numbers: there it is read by its colours."]


def _against(file: MapFile, space: LabelSpace, known: Sequence[LabelSpace]) -> list[str]:
    """What speaks against the space that the caller names."""
    verdict = judge_file(file, space, known)
    advice = [] if verdict is None else [f"Warning: {verdict.about('This file')}"]
    try:
        doubt = palette_doubt(file, space, to_values(file, space))
    except LabelError as error:
        return [*advice, str(error.args[0])]
    return [*advice, *([f"It {doubt}."] if doubt is not None else [])]


def _no_space(file: MapFile) -> str:
    """Advice on numbers that fit no label space."""
    values = file.tally.keys
    if len(values) > 200:
        return many_values(len(values))
    return (
        f"{len(values)} values from {values[0]} to {values[-1] if values[-1] != IGNORE else values[-2]}"
        f"{' and 255' if values[-1] == IGNORE else ''} fit no known label space: if they are classes, list those in a file"
        ' (<<mask_space="FILE">>).'
    )


def _color_advice(file: MapFile, spaces: Sequence[LabelSpace]) -> list[str]:
    """Advice on colours that are no space's."""
    swapped = swapped_space(file, spaces)
    if swapped is not None:
        return [
            f"With red and blue swapped these are the colours of {swapped.name}: OpenCV writes BGR. Swap the channels back."
        ]
    around = smoothed(file, [s for s in spaces if not s.voc_colored]) or smoothed(file, spaces)
    if around is not None:
        return [smoothed_text(*around)]
    coded = coded_ids(file)
    if coded is not None:
        return [coded]
    count = len(file.tally)
    photo = (
        "so many look like a photo, or like a map saved as JPEG"
        if count > 4 * ROWS
        else "name the label space (<<space>>)"
    )
    return [f"{count} colours that are no known label space's: {photo}."]


def _guess_advice(guess: Guess, space: LabelSpace | None, factor: int | None) -> list[str]:
    """What where the parts lie says; nothing where a space was named, against which the judge has been asked."""
    if space is not None:
        return []
    divided = "" if factor is None else f"divided by {factor}, "
    if guess.offset:
        return [f"Warning: by where its parts lie, {divided}{off_by_one(guess)}{odd(guess.faults, 'as it stands')}."]
    against = (
        "" if guess.against is None or not guess.faults or factor else f"; in {guess.against} {', '.join(guess.faults)}"
    )
    lies = f"Warning: by where its parts lie, the picture {turned(guess.turn)}." if guess.turn else ""
    orders = " or ".join((guess.space, *guess.also))
    return [
        f"By where its parts lie, {divided}its numbers are in the order of {orders}{against}.",
        *([lies] if lies else []),
    ]
