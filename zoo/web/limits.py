"""How much the server keeps and takes. No torch in here."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Sizes in bytes, pictures in pixels, counts of things, times in seconds.

    upload, pixels: of one file that is dropped in. job: the JSON of one job. map_pixels: of a map in a job. photos, decoded: all photos
    together, as they came and as pixels. models: parameters of all loaded models. styles, layouts: what is kept of those to be used
    again. sessions: tabs; waiting: jobs that wait, of all tabs and (own_waiting) of one. samples: proposals of one job. seconds: of one
    job (it ends at the next step of its work). described: bytes of a model that is loaded before anybody asks for it, to say what
    styles it has.
    """

    upload: int = 32 * MIB
    pixels: int = 50_000_000
    job: int = 16 * MIB
    map_pixels: int = 4_194_304
    photos: int = 192 * MIB
    decoded: int = 384 * MIB
    models: int = 2048 * MIB
    styles: int = 128 * MIB
    layouts: int = 512 * MIB
    sessions: int = 16
    waiting: int = 24
    own_waiting: int = 6
    samples: int = 16
    seconds: float = 1800.0
    described: int = 64 * MIB


LOCAL = Limits()
PUBLIC = Limits(
    upload=8 * MIB,
    pixels=16_000_000,
    job=6 * MIB,
    map_pixels=1_048_576,
    photos=128 * MIB,
    decoded=192 * MIB,
    models=1024 * MIB,
    layouts=256 * MIB,
    sessions=32,
    waiting=12,
    own_waiting=3,
    samples=6,
    seconds=60.0,
)
"""Where anybody may come: without a token, behind a host's proxy."""
