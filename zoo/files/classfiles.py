"""Label spaces from files: the zoo's own JSON, and the class lists that labelling tools leave beside their maps. No torch.

What a file is is told from its content, never from its name. Which numbers each tool means was tried with the tool or
read in its documents; docs/maps.md ("Class lists of tools") says with which version.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from zoo.errors import LabelError
from zoo.files.jsonfiles import parse_json
from zoo.files.labelconfig import is_xml, labels_of_config
from zoo.labels import IGNORE, Color, LabelClass, LabelSpace, parse_space, voc_color

LIMIT = 1 << 20
SUFFIXES = (".json", ".txt", ".csv", ".xml")
BACKGROUNDS = (
    "background",
    "_background_",
    "__background__",
    "__bg__",
    "bg",
    "unlabeled",
    "unlabelled",
    "void",
    "null",
)
LEFT_OUT = ("__ignore__", "ignore", "ignored", "void", "unlabeled", "unlabelled")
"""What a number 255 or -1 may be called in a list: pixels of no class."""
FORMS = (
    "labelmap.txt (CVAT, datumaro: name:r,g,b:parts:actions), _classes.csv (Roboflow: Pixel Value, Class),"
    " class_names.txt or label_names.txt (labelme: _background_ first), id2label or label2id JSON (Hugging Face),"
    " meta.json or obj_class_to_machine_color.json (Supervisely), a labeling config (Label Studio, XML), or the zoo's own"
    ' JSON {"name": …, "classes": [{"name": …, "color": [r, g, b]}, …]}'
)

Numbered = Mapping[int, tuple[str, Color | None]]
Fault = Callable[[str], LabelError]


def load_space(path: Path) -> LabelSpace:
    """A label space from a file: the zoo's JSON form, or a class list that a tool left beside its maps (`FORMS`).

    A tool's list gives the numbers that the tool writes; numbers that it leaves out are called `label_N`, a colour that
    it does not state is the Pascal VOC one of the number, `left_x`/`right_x` (`l_x`/`r_x`) swap when a map is mirrored,
    and the space is named after the file. Raises LabelError naming the file, what is wrong, and the forms.
    """
    text = _read(path)

    def fault(found: str) -> LabelError:
        return LabelError(f"{path} is no list of classes that can be read: {found}. It may be: {FORMS}.")

    if is_xml(text):
        return _space(path, _after_background(labels_of_config(text, fault)), fault, background=0)
    if text.lstrip()[:1] in ("{", "["):
        return _from_json(path, text, fault)
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines:
        raise fault("it is empty")
    if lines[0].replace(" ", "").casefold().startswith("pixelvalue,"):
        return _space(path, _from_csv(lines, fault), fault)
    if lines[0].count(":") == 3:
        return _space(path, _from_labelmap(lines, fault), fault)
    if lines[0] in ("__ignore__", "_background_"):
        ignore = lines[0] == "__ignore__"
        names = lines[1:] if ignore else lines
        return _space(path, {i: (name, None) for i, name in enumerate(names)}, fault, ignore=ignore)
    raise fault(f"its first line is {_short(lines[0])}")


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LIMIT + 1)
    except OSError as error:
        raise LabelError(f"Cannot read the label space {path}: {error.strerror or error}.") from error
    if len(content) > LIMIT:
        raise LabelError(f"{path} is no list of classes: it is larger than 1 MB. It may be: {FORMS}.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LabelError(
            f"{path} is no list of classes: it is not UTF-8 text ({error}). It may be: {FORMS}."
        ) from error


def _from_json(path: Path, text: str, fault: Fault) -> LabelSpace:
    values = parse_json(text, object, where=str(path), error=LabelError, what="a list of classes")
    if isinstance(values, dict):
        if _supervisely(values):
            return _space(path, _after_background(_from_meta(values["classes"], fault)), fault, background=0)
        inner = next((values[k] for k in ("id2label", "label2id") if isinstance(values.get(k), dict)), values)
        if "classes" not in values and inner:
            if all(_number(k) is not None and isinstance(v, str) for k, v in inner.items()):
                named = [(_number(k), str(v)) for k, v in inner.items()]
                return _space(path, _pairs(named, fault), fault, ignore=True)
            if all(_grey(v) is not None for v in inner.values()):
                ignore = not any(isinstance(v, list) for v in inner.values())  # label2id: numbers, not greys
                named = [(_grey(v), str(k)) for k, v in inner.items()]
                return _space(path, _with_zero(_pairs(named, fault)), fault, ignore=ignore)
            if inner is not values or all(isinstance(v, int | str | list) for v in values.values()):
                key, value = next((k, v) for k, v in inner.items() if _number(k) is None or not isinstance(v, str))
                raise fault(
                    f"its entry {_short(key)}: {_short(value)} is neither a number with a name nor a name with one"
                )
    if not isinstance(values, dict) or not isinstance(values.get("classes"), list):
        raise fault(f"expected an object with classes or with numbers and names, got {_short(values)}")
    return parse_space(values, str(path))


def _supervisely(values: Mapping[str, object]) -> bool:
    classes = values.get("classes")
    return isinstance(classes, list) and any(isinstance(c, dict) and "title" in c and "name" not in c for c in classes)


def _from_meta(classes: list[object], fault: Fault) -> list[tuple[str, Color | None]]:
    """Supervisely's classes in their order; a class's place from 1 is its number in masks_machine."""
    found: list[tuple[str, Color | None]] = []
    for i, entry in enumerate(classes):
        if not isinstance(entry, dict) or not isinstance(entry.get("title"), str):
            raise fault(f"class {i} has no title")
        color = entry.get("color")
        if color is not None and not (isinstance(color, str) and re.fullmatch(r"#[0-9a-fA-F]{6}", color)):
            raise fault(f"class {i} ({entry['title']}): a color is #RRGGBB, got {_short(color)}")
        found.append((entry["title"], None if color is None else _hex(color)))
    return found


def _from_csv(lines: list[str], fault: Fault) -> Numbered:
    rows = list(csv.reader(lines, skipinitialspace=True))
    for row in rows[1:]:
        if len(row) != 2 or _number(row[0]) is None or not row[1].strip():
            raise fault(f"its row {_short(','.join(row))} is not a pixel value and a class")
    return _pairs([(_number(row[0]), row[1].strip()) for row in rows[1:]], fault)


def _from_labelmap(lines: list[str], fault: Fault) -> Numbered:
    """A line's place is its number in one-channel exports; the three-channel ones show its colour."""
    found: dict[int, tuple[str, Color | None]] = {}
    for i, line in enumerate(lines):
        parts = line.split(":")
        if len(parts) != 4 or not parts[0].strip():
            raise fault(f"its line {_short(line)} is not name:r,g,b:parts:actions")
        numbers = [_number(n) for n in parts[1].split(",")] if parts[1].strip() else []
        rgb = [n for n in numbers if n is not None and 0 <= n <= 255]
        if numbers and (len(rgb) != 3 or len(numbers) != 3):
            raise fault(f"its line {_short(line)} has no colour of three numbers 0..255")
        found[i] = (parts[0].strip(), (rgb[0], rgb[1], rgb[2]) if rgb else None)
    return found


def _pairs(entries: list[tuple[int | None, str]], fault: Fault) -> Numbered:
    """By number; one number with two names is an error."""
    found: dict[int, tuple[str, Color | None]] = {}
    for number, name in entries:
        if number is None or not -1 <= number <= IGNORE:
            raise fault(f"{_short(name)} has the number {number}; an 8-bit map holds 0..255")
        if number in found:
            raise fault(f"{number} is the number of both {found[number][0]!r} and {name!r}")
        found[number] = (name, None)
    return found


def _after_background(classes: list[tuple[str, Color | None]]) -> Numbered:
    """Numbers from 1 in the given order; 0, what nobody labelled, is black."""
    taken = {name.casefold() for name, _ in classes}
    zero = next((n for n in ("background", "unlabeled") if n not in taken), "label_0")
    return {0: (zero, (0, 0, 0)), **dict(enumerate(classes, 1))}


def _with_zero(entries: Numbered) -> Numbered:
    """In Supervisely's masks 0 is what nobody labelled; lists that name 0 keep their name."""
    if 0 in entries or "background" in {name for name, _ in entries.values()}:
        return entries
    return {0: ("background", (0, 0, 0)), **entries}


def _space(
    path: Path, entries: Numbered, fault: Fault, *, ignore: bool = False, background: int | None = None
) -> LabelSpace:
    """The space of numbered names. A name for 255 or -1 that says "no class" makes 255 legal instead of being a class."""
    entries = dict(entries)
    for number in (-1, IGNORE):
        if number in entries:
            name, _ = entries.pop(number)
            if name.casefold() not in LEFT_OUT and name.casefold() not in BACKGROUNDS:
                raise fault(f"{name!r} has the number {number}, which maps use for pixels of no class")
            ignore = True
    if not entries:
        raise fault("it names no class")
    listed = [entries.get(i, (f"label_{i}", None)) for i in range(max(entries) + 1)]
    names = [name for name, _ in listed]
    folded = [name.casefold() for name in names]
    twice = sorted({name for name, f in zip(names, folded, strict=True) if folded.count(f) > 1})
    if twice:
        raise fault(f"class names occur twice: {', '.join(twice)}")
    if background is None:
        background = next((i for i, f in enumerate(folded) if f in BACKGROUNDS), None)
    classes = []
    for i, (name, color) in enumerate(listed):
        aliases = tuple(a for a in ("background", "bg") if i == background and a not in folded)
        classes.append(LabelClass(name, color or voc_color(i), aliases, _mirror(name, names)))
    return LabelSpace(path.name, tuple(classes), None if background is None else names[background], ignore)


def _mirror(name: str, names: list[str]) -> str | None:
    """The class that `name` becomes when left and right change places, if there is one."""
    for side, other in (("left", "right"), ("right", "left"), ("l", "r"), ("r", "l")):
        pattern = rf"(?<![A-Za-z]){side}(?![A-Za-z])" if len(side) > 1 else rf"^{side}(?=[_-])"
        swapped = re.sub(
            pattern, lambda m, o=other: o.capitalize() if m[0][0].isupper() else o, name, flags=re.IGNORECASE
        )
        if swapped != name and swapped in names:
            return swapped
    return None


def _number(value: object) -> int | None:
    """An integer, or one written out in up to four digits."""
    if isinstance(value, str) and re.fullmatch(r"\s*-?[0-9]{1,4}\s*", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _grey(value: object) -> int | None:
    """7 or [7, 7, 7]."""
    if isinstance(value, list) and len(value) == 3 and len({str(v) for v in value}) == 1:
        value = value[0]
    return None if isinstance(value, str) else _number(value)


def _hex(color: str) -> Color:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
