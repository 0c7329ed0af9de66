"""What the licences of a card allow. Names are SPDX ids; anything else is prose that no program interprets. No torch."""

from __future__ import annotations

from zoo.errors import did_you_mean

UNKNOWN = "unknown"

COMMERCIAL = (
    *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "ISC", "MIT", "MIT-0", "Unlicense", "Zlib"),
    *("CC0-1.0", "CC-BY-3.0", "CC-BY-4.0", "CDLA-Permissive-1.0", "CDLA-Permissive-2.0", "ODC-By-1.0", "PDDL-1.0"),
    *("CC-BY-SA-3.0", "CC-BY-SA-4.0", "ODbL-1.0", "MPL-2.0", "LGPL-2.1-only", "LGPL-2.1-or-later", "LGPL-3.0-only"),
    *("LGPL-3.0-or-later", "GPL-2.0-only", "GPL-2.0-or-later", "GPL-3.0-only", "GPL-3.0-or-later"),
    *("AGPL-3.0-only", "AGPL-3.0-or-later", "EPL-2.0", "EUPL-1.2"),
)
"""Licences that permit commercial use. The last two lines and a half want something back (the same licence for what is made
from the work, attribution in products); that is for the user to weigh, they do not forbid selling."""

HUB = (
    *(
        "apache-2.0",
        "bsd-2-clause",
        "bsd-3-clause",
        "bsl-1.0",
        "isc",
        "mit",
        "unlicense",
        "zlib",
        "cc0-1.0",
        "cc-by-3.0",
    ),
    *("cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cdla-permissive-1.0", "cdla-permissive-2.0", "mpl-2.0", "epl-2.0"),
    *("eupl-1.2", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0", "cc-by-nd-4.0"),
)
"""Ids that the Hub's `license` field knows under the lower-case SPDX id."""


def permits_commercial_use(licence: str) -> bool:
    """True for an SPDX expression of ids in `COMMERCIAL` (any case; `AND`: all of them, `OR`: one), and for nothing else.

    Prose, `unknown`, an empty string and ids that are not listed never pass: what a text allows is for a person to read.
    """
    known = {name.casefold() for name in COMMERCIAL}
    return any(
        all(part.strip().casefold() in known for part in choice.split(" AND ")) for choice in licence.split(" OR ")
    )


def near_licence(licence: str) -> str:
    """`"; did you mean 'Apache-2.0'?"` for something that looks like a misspelt id ("Apache 2.0", "CC0"), else ""."""
    if permits_commercial_use(licence) or licence.casefold() == UNKNOWN or len(licence.split()) > 3:
        return ""
    text = licence.casefold().removesuffix(" license").removesuffix(" licence").strip().replace(" ", "-")
    starts = [name for name in COMMERCIAL if len(text) > 2 and name.casefold().startswith(text)]
    return did_you_mean(text, starts or COMMERCIAL) if not starts else f"; did you mean {starts[0]!r}?"


def hub_license(licence: str) -> tuple[str, str | None]:
    """`license` and `license_name` of the front matter for a weights licence: an id the Hub knows, `unknown`, or `other`."""
    text = licence.strip().casefold()
    if text in HUB or text == UNKNOWN:
        return text, None
    return "other", "non-commercial-research" if "non-commercial" in text else "see-card"
