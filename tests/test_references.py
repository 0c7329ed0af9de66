"""References lead somewhere: links, pages and their headings, paths and names; none leads out of the repository."""

from __future__ import annotations

import importlib
import re
import subprocess
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from zoo.moved import MOVED

ROOT = Path(__file__).resolve().parents[1]
TEXTS = {".py", ".md", ".in", ".cfg", ".toml", ".json", ".yml", ".yaml"}
ITSELF = "tests/test_references.py"

# what lies outside the repository is no place to send a reader to
OUTSIDE = re.compile(r"\bDESIGN\b|\b(?i:dossier)|(?<![\w.-])shared/|\b(?:STYLE|TRAINING|PLATFORM|DEMAND)\.md")
OPENS_SHARED = {
    "tests/conftest.py": 'SHARED = ROOT.parent / "shared"',
    "tests/golden/travel.py": 'Path(__file__).parents[3] / "shared"',
}
"""Files that may name the shared folder because they open it, each with the line that does."""

PAGE = re.compile(r"(?<![\w/.-])docs/[\w./-]+\.md")
QUOTED = re.compile(r"""[ ,(]*(?:and )?["“]([^"”]+)["”]""")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
NAME = re.compile(r"\b(?:zoo|zoo_plugins|zoo_cards)(?:\.\w+)+")
GROUPS = {"zoo.plugins"}
"""Dotted names that are no modules: the entry point group."""


@cache
def tracked() -> tuple[str, ...]:
    """Files of the repository by their path from its root; skips where there is no repository (an unpacked archive)."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("needs the repository's list of files")
    return tuple(name for name in listed.stdout.splitlines() if (ROOT / name).exists())


def texts(*suffixes: str) -> Iterator[tuple[str, str]]:
    """Paths and contents of all text files, or of those with these suffixes."""
    for name in tracked():
        if Path(name).suffix in (suffixes or TEXTS) and (ROOT / name).is_file() and name != ITSELF:
            yield name, (ROOT / name).read_text("utf-8")


def line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])


def prose(text: str) -> str:
    """Markdown without its fenced blocks, lines kept."""
    return re.sub(r"^( *)```.*?^\1```", blank, text, flags=re.M | re.S)


@cache
def headings(page: str) -> tuple[str, ...]:
    """Headings of a page, without their numbers."""
    found = re.findall(r"^#{1,6} +(?:\d+(?:\.\d+)*\.? +)?(.+?) *$", prose((ROOT / page).read_text("utf-8")), flags=re.M)
    return tuple(found)


def anchors(text: str) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    found = re.findall(r"^#{1,6} +(.+?) *$", prose(text), flags=re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}


# --- the rules: each yields (line, what leads nowhere) --------------------------------------------------------------


def leads_outside(text: str) -> Iterator[tuple[int, str]]:
    """Mentions of files that a reader of this repository does not have."""
    yield from ((line(text, m.start()), m[0]) for m in OUTSIDE.finditer(text))


def missing_pages(text: str) -> Iterator[tuple[int, str]]:
    """`docs/page.md` and the headings quoted after it."""
    # a reference may be wrapped within a docstring or a comment; each mention stays the same in number
    flat = re.sub(r"\n[ \t]*(?:# ?)?", " ", text)
    for found, written in zip(PAGE.finditer(flat), PAGE.finditer(text), strict=True):
        where = line(text, written.start())
        page, end = found[0], found.end()
        if not (ROOT / page).is_file():
            yield where, page
            continue
        while quoted := QUOTED.match(flat, end):
            if quoted[0].startswith(('"', "“")):
                break  # the quote that ends a string of code
            end = quoted.end()
            heading = quoted[1].rstrip(".,").replace("\\", "")
            if heading not in headings(page):
                yield where, f'{page}, "{heading}"'


def broken_links(text: str, home: Path) -> Iterator[tuple[int, str]]:
    """Relative Markdown links whose file or heading is not there."""
    for found in LINK.finditer(re.sub(r"`[^`\n]*`", blank, prose(text))):
        target, _, heading = found[1].partition("#")
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        page = home / target
        into = text if not target else page.read_text("utf-8") if page.suffix == ".md" and page.is_file() else ""
        if (target and not page.exists()) or (heading and heading not in anchors(into)):
            yield line(text, found.start()), found[1]


def missing_paths(text: str) -> Iterator[tuple[int, str]]:
    """Paths of the repository within backticks or fenced blocks; `<name>` stands for any."""
    tops = {name.split("/")[0] for name in tracked() if "/" in name}
    for code in re.finditer(r"```.*?```|`[^`\n]+`", text, re.S):
        for word in re.finditer(r"[^\s`'\"(),;]+", code[0]):
            path = word[0].rstrip(".:")
            if path.split("/")[0] not in tops or "/" not in path or "…" in path:
                continue
            pattern = re.sub(r"<[^>]*>|\{[^}]*\}|NAME", "*", path).rstrip("/")
            if not any(ROOT.glob(pattern)):
                yield line(text, code.start() + word.start()), path


def missing_names(text: str) -> Iterator[tuple[int, str]]:
    """Dotted names of the packages within backticks."""
    for code in re.finditer(r"(?<!`)`([^`\n]+)`(?!`)", text):
        for found in NAME.finditer(code[1]):
            if found[0] not in GROUPS and not is_file(found[0]) and not resolves(found[0]):
                yield line(text, code.start()), found[0]


def is_file(name: str) -> bool:
    return name.rpartition(".")[2] in {"json", "py", "md", "toml", "cfg"}


@cache
def resolves(name: str) -> bool:
    """Whether a dotted name is a module, or an attribute of one, at its present place."""
    parts = name.split(".")
    if any(".".join(parts[:n]) in MOVED for n in range(1, len(parts) + 1)):
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        for n in range(len(parts), 0, -1):
            try:
                found = importlib.import_module(".".join(parts[:n]))
            except ModuleNotFoundError:
                continue
            except DeprecationWarning:
                return False
            try:
                for attribute in parts[n:]:
                    fields = getattr(found, "__dataclass_fields__", {}) | getattr(found, "__annotations__", {})
                    if attribute in fields:
                        return True
                    found = getattr(found, attribute)
            except (AttributeError, DeprecationWarning):
                return False
            return True
    return False


# --- the tests ------------------------------------------------------------------------------------------------------


def test_nothing_sends_the_reader_out_of_the_repository() -> None:
    for name, opening in OPENS_SHARED.items():
        assert opening in (ROOT / name).read_text("utf-8")
    assert not [f"{n}:{at}: {what}" for n, t in texts() if n not in OPENS_SHARED for at, what in leads_outside(t)]


def test_pages_and_headings_that_are_named_exist() -> None:
    assert not [f"{n}:{at}: {what}" for n, t in texts() for at, what in missing_pages(t)]


def test_links_of_pages_lead_somewhere() -> None:
    faults = [f"{n}:{at}: {what}" for n, t in texts(".md") for at, what in broken_links(t, (ROOT / n).parent)]
    assert not faults


def test_paths_in_pages_exist() -> None:
    pages = [(n, t) for n, t in texts(".md") if not n.startswith("cards/") and n != "CHANGELOG.md"]
    assert len(pages) > 10 and not [f"{n}:{at}: {what}" for n, t in pages for at, what in missing_paths(t)]


def test_dotted_names_in_pages_and_docstrings_exist() -> None:
    kept = [(n, t) for n, t in texts(".md", ".py", ".in") if not n.startswith("tests/") and n != "CHANGELOG.md"]
    assert not [f"{n}:{at}: {what}" for n, t in kept for at, what in missing_names(t)]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("The zoo (DESIGN section 4)", "DESIGN"),
        ("see the dossier, section 4", "dossier"),
        ("measured best here (shared/TRAINING.md)", "shared/"),
        ("opens ../shared/golden", "shared/"),
        ("our design, mlp_shared/x, docs/design.md", None),
    ],
)
def test_mentions_of_what_a_reader_lacks_are_seen(text: str, fault: str | None) -> None:
    assert next(leads_outside(text), (0, None))[1] == fault


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ('(docs/papers/scgan.md, "Losses" and\n    "Training")', []),
        ('x\n# docs/papers/scgan.md,\n# "Loses" and "Training"', [(2, 'docs/papers/scgan.md, "Loses"')]),
        ('(docs/design.md, "Contracts" and "Lay")', [(1, 'docs/design.md, "Lay"')]),
        ('docs/design.md ("Randomness") fixes; docs/gone.md', [(1, "docs/gone.md")]),
        ('{"docs/design.md", "anything"}', []),
    ],
)
def test_pages_and_headings_are_read_as_they_are_written(text: str, faults: list[tuple[int, str]]) -> None:
    assert list(missing_pages(text)) == faults


def test_links_paths_and_names_that_lead_nowhere_are_seen() -> None:
    text = "# A head\n[a](README.md) [b](gone.md) [c](#a-head) [d](#gone) [e](docs/design.md#7-style) [f](docs/design.md#gone)"
    assert [what for _, what in broken_links(text, ROOT)] == ["gone.md", "#gone", "docs/design.md#gone"]
    text = (
        "`zoo/rng.py`, `plugins/<name>/config.py`, `zoo/gone.py`\n\n```\npython benchmarks/gone.py faces/x.png\n```\n"
    )
    assert list(missing_paths(text)) == [(1, "zoo/gone.py"), (4, "benchmarks/gone.py")]
    text = "`zoo.compose(…)`, `zoo.rng.Rng`, `zoo.rng.Gone`, `zoo.weights`, `zoo.plugins`"
    assert list(missing_names(text)) == [(1, "zoo.rng.Gone"), (1, "zoo.weights")]
