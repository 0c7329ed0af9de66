"""The process of the server: a socket, an address with a token, and an end by Ctrl-C. uvicorn, the extra `ui`."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import uvicorn

from zoo.errors import UsageError
from zoo.web.app import STATIC, make_app
from zoo.web.guard import LOOPBACK, Guard
from zoo.web.studio import Studio

PORT = 8765
"""Where the editor is if nobody asks for another place: a browser keeps the page's work by address."""
TOKEN = "ZOO_UI_TOKEN"
SHORTEST = 16


@dataclass(frozen=True)
class Place:
    """Where the server listens and who may come. port: None for `PORT`, or another if that is taken; 0 for any free one.

    hosts: further names by which it may be called (a host's proxy). token: False where anybody may come.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    hosts: tuple[str, ...] = ()
    token: bool = True
    framed: tuple[str, ...] = ()

    @property
    def loopback(self) -> bool:
        """Whether nobody but this machine reaches it."""
        return self.host in LOOPBACK or self.host.startswith("127.")


def chosen_token() -> str:
    """The token of the environment, else a fresh one. Raises UsageError for one that is easily guessed."""
    given = os.environ.get(TOKEN)
    if given is None:
        return secrets.token_urlsafe(32)
    if len(given) < SHORTEST or not given.isascii() or not given.isprintable() or " " in given:
        raise UsageError(f"{TOKEN} is a text of at least {SHORTEST} ASCII characters without spaces, got {len(given)}.")
    return given


def bound(place: Place) -> tuple[socket.socket, str]:
    """A listening socket, and what is to be said of it ("" for nothing). Raises UsageError where none can be had."""
    if place.port is None:
        try:
            return _bind(place.host, PORT), ""
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise _refused(place.host, PORT, error) from error
            told = f"Port {PORT} is taken; a browser keeps what was painted there apart from what is painted here."
            return _listen(place.host, 0), told
    return _listen(place.host, place.port), ""


def _listen(host: str, port: int) -> socket.socket:
    try:
        return _bind(host, port)
    except OSError as error:
        raise _refused(host, port, error) from error


def _bind(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":  # there it would share the port with another server
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(128)
    except OSError:
        found.close()
        raise
    return found


def _refused(host: str, port: int, error: OSError) -> UsageError:
    if error.errno == errno.EADDRINUSE:
        return UsageError(
            f"Port {port} is taken by another program: choose another <<port>>, or 0 for any that is free."
        )
    return UsageError(f"The server cannot listen on {host}, port {port}: {error.strerror or error}.")


class _Server(uvicorn.Server):
    """Says when it listens, and when it is about to wait for what is still asked."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None], leaving: Callable[[], object]) -> None:
        super().__init__(config)
        self._ready, self._leaving = ready, leaving

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._leaving()
        await super().shutdown(sockets)


def serve(
    studio: Studio,
    place: Place,
    *,
    told: Callable[[str], None],
    show: Callable[[str], None],
    browser: bool = False,
    threads: int = 2,
    static: Path = STATIC,
) -> None:
    """Serve until Ctrl-C, which raises KeyboardInterrupt. show: is given the address as soon as it answers; told: is given notes.

    Raises UsageError for a port that is taken.
    """
    token = chosen_token() if place.token else None
    listening, note = bound(place)
    with listening:
        port = listening.getsockname()[1]
        url = address(place, port, token)
        app = make_app(studio, threads=threads, static=static)
        wildcard = place.host in ("0.0.0.0", "::", "")
        hosts: Sequence[str] = (*LOOPBACK, place.host, *place.hosts, *([socket.gethostname()] if wildcard else []))
        guard = Guard(app, token=token, port=port, hosts=hosts, any_address=wildcard, framed=place.framed)
        config = uvicorn.Config(
            guard,  # type: ignore[arg-type]
            log_level="warning",
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
            limit_concurrency=256,
            h11_max_incomplete_event_size=16_384,
            http="h11",
            ws="none",
            loop="asyncio",
        )

        def ready() -> None:
            if note:
                told(note)
            show(url)
            if browser:
                threading.Thread(target=_open, args=(url,), daemon=True).start()

        try:
            asyncio.run(_Server(config, ready, lambda: app.state.desk.close(0)).serve([listening]))
        finally:
            busy = not app.state.desk.close(0.5) or app.state.warming.is_alive()
            if busy and threading.current_thread() is threading.main_thread():
                _leave()


def address(place: Place, port: int, token: str | None) -> str:
    """What is opened in a browser."""
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(place.host, place.host)
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{port}/" + (f"?token={quote(token, safe='')}" if token is not None else "")


def _leave() -> None:
    """End at once: a model is still at work, or read, in a thread, and an interpreter that ends around it may crash."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(130)


def _open(url: str) -> None:
    shown = sys.platform in ("win32", "darwin") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if shown:  # else a browser of the terminal would take the terminal
        webbrowser.open(url)
