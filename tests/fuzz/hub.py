"""A Hub on the loopback with one tiny model, in a process of its own; ends when its stdin closes.

python -m fuzz.hub FOLDER          prints the address
"""

from __future__ import annotations

import sys
from pathlib import Path

from hub_server import HubServer


def main(folder: Path) -> None:
    """Serve `hf:me/tiny`, the files of a folder."""
    with HubServer() as hub:
        hub.add("me/tiny", folder)
        print(hub.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
