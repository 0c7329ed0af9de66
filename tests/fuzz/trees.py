"""Changes of structured texts: a value of a JSON tree replaced, removed, renamed, doubled; bytes flipped and cut."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

Path = tuple[str | int, ...]

NAMES = (
    "x" * 300, "a\0b", "\x1b[2Jx", "../x", "../../guarded/precious.txt", "/etc/hostname", "a//b", "", ".", "..", "con\n2",
    "\u202egnp.x", "é" * 90, "C:\\x", "~/x", "-x", "a b", "x" * 5000, "inputs/../../guarded/inputs/000000.png",
)  # fmt: skip
"""Names that are none, or lead elsewhere."""


def values(rng: Random, old: Any) -> Any:
    """Another value: of a wrong type, huge, negative, not finite, deep, or much of it."""
    choices: tuple[Callable[[], Any], ...] = (
        lambda: None,
        lambda: rng.choice([True, False]),
        lambda: rng.choice(
            [0, 1, -1, 2, 3, 7, 255, 256, 65536, 2**31, 2**31 - 1, 2**63, 2**64, 10**12, -(2**63), 10**30]
        ),
        lambda: rng.choice([0.5, -0.0, 1e308, 1e-320, float("nan"), float("inf"), float("-inf")]),
        lambda: rng.choice(NAMES),
        list,
        dict,
        lambda: [old],
        lambda: {"x": old},
        lambda: [old] * rng.choice([2, 50, 3000]),
        lambda: deep(rng.choice([5, 20, 200])),
        lambda: str(old)[:2000],
        lambda: old * rng.choice([-1, 1000, 10**6, 10**9]) if isinstance(old, int | float) else rng.choice(NAMES),
        lambda: "1" * rng.choice([10, 4000, 6000]),
    )
    return rng.choice(choices)()


def deep(levels: int) -> Any:
    """Lists in lists."""
    tree: Any = 1
    for _ in range(levels):
        tree = [tree]
    return tree


def places(tree: Any, at: Path = ()) -> list[Path]:
    """Every place of a tree but its root."""
    found: list[Path] = []
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree[:40]) if isinstance(tree, list) else ()
    for key, value in inner:
        found += [(*at, key), *places(value, (*at, key))]
    return found


def get(tree: Any, at: Path) -> Any:
    """What lies there."""
    for key in at:
        tree = tree[key]
    return tree


def mutate(rng: Random, tree: Any, only: tuple[str, ...] = ()) -> tuple[Any, str]:
    """A changed copy of a JSON tree, and what was changed. only: keys of the root to stay below."""
    tree = json.loads(json.dumps(tree))
    spots = [p for p in places(tree) if not only or p[0] in only]
    if not spots or rng.random() < 0.02:
        new = values(rng, tree)
        return new, f"the whole became {short(new)}"
    # a short way down first, so that a long list does not take all turns
    depth = rng.choice(sorted({len(p) for p in spots}))
    at = rng.choice([p for p in spots if len(p) == depth])
    parent, key, old = get(tree, at[:-1]), at[-1], get(tree, at)
    name = "/".join(map(str, at))[:80]
    how = rng.random()
    if how < 0.15:
        del parent[key]
        return tree, f"{name} removed"
    if how < 0.25 and isinstance(parent, dict):
        new_key = rng.choice(NAMES)
        parent[new_key] = parent.pop(key)
        return tree, f"{name} renamed {short(new_key)}"
    if how < 0.32 and isinstance(parent, list):
        parent.insert(rng.randrange(len(parent) + 1), old)
        return tree, f"{name} doubled"
    if how < 0.38 and isinstance(parent, dict):
        new_key, new = rng.choice(NAMES), values(rng, old)
        parent[new_key] = new
        return tree, f"{name}: beside it {short(new_key)}"
    parent[key] = new = values(rng, old)
    return tree, f"{name} became {short(new)}"


def short(value: Any) -> str:
    """For a recipe."""
    try:
        text = json.dumps(value)
    except (ValueError, RecursionError):
        text = type(value).__name__
    return text if len(text) < 60 else f"{text[:50]}… {len(text)} characters"


def text_of(rng: Random, tree: Any) -> tuple[bytes, str]:
    """A tree as JSON, now and then with a fault of the text itself."""
    content = json.dumps(tree, indent=rng.choice([None, 2])).encode()
    how = rng.random()
    if how < 0.9:
        return content, ""
    if how < 0.92:
        return b"\xef\xbb\xbf" + content, "with a byte order mark"
    if how < 0.94:
        return content.decode().encode("utf-16"), "in UTF-16"
    if how < 0.96:
        levels = rng.choice([900, 3000, 100_000])
        return content.replace(b": ", b": " + b"[" * levels + b"]" * levels + b', "x": ', 1), f"{levels} brackets"
    if how < 0.98:
        return content.replace(b'"', b'"\xff\xfe', 1), "no UTF-8"
    return damage(rng, content)


def damage(rng: Random, content: bytes) -> tuple[bytes, str]:
    """Bytes flipped, cut, repeated, or all gone."""
    if not content:
        return b"\0", "a byte in an empty file"
    how, at = rng.random(), rng.randrange(len(content))
    if how < 0.45:
        changed = bytearray(content)
        for _ in range(rng.choice([1, 1, 1, 3, 20])):
            changed[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        return bytes(changed), "bits flipped"
    if how < 0.75:
        return content[:at], f"cut to {at} of {len(content)} bytes"
    if how < 0.85:
        return content[:at] + rng.randbytes(rng.choice([1, 8, 100])) + content[at:], f"bytes put in at {at}"
    if how < 0.93:
        end = min(len(content), at + rng.choice([1, 4, 50]))
        return content[:at] + bytes(end - at) + content[end:], f"zeros at {at}"
    return rng.choice([(b"", "emptied"), (content + content, "twice"), (bytes(len(content)), "all zeros")])
