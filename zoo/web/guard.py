"""Who may ask: Host, Origin, token; and the headers that every answer has. Pure ASGI, no torch."""

from __future__ import annotations

import hmac
import ipaddress
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from zoo.errors import UsageError
from zoo.files.names import one_line

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; font-src 'self';"
    " object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors {ancestors}"
)
LOOPBACK = ("127.0.0.1", "localhost", "::1")


_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9-]{1,63})*")


def check_host(name: str) -> None:
    """Raise UsageError for what is neither the name nor the address of a machine."""
    if len(name) > 253 or not (_HOST.fullmatch(name) or _is_address(name)):
        raise UsageError(
            f"{one_line(name, 80)!r} is neither the name nor the address of a machine, such as 127.0.0.1 or localhost."
        )


class Guard:
    """Lets through what comes from the page itself.

    hosts: names by which the server may be called; `any_address`: any IP address, too (another site's name that leads here, as in DNS
    rebinding, is none). token: None where no token is asked for. framed: origins that may show the page in a frame.
    """

    def __init__(
        self,
        app: App,
        *,
        token: str | None,
        port: int,
        hosts: Sequence[str] = LOOPBACK,
        any_address: bool = False,
        framed: Sequence[str] = (),
    ) -> None:
        self.app, self.port, self.any_address = app, port, any_address
        self.hosts = {host.lower() for host in hosts}
        self._token = None if token is None else token.encode()
        policy = POLICY.format(ancestors=" ".join(["'self'", *framed]) if framed else "'none'")
        self._headers = [
            (b"content-security-policy", policy.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cross-origin-resource-policy", b"same-origin"),
            (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request. Web sockets are closed: there are none."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return

        async def answer(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                kept = [(k, v) for k, v in message.get("headers", []) if k.lower() != b"server"]
                cached = any(k.lower() == b"cache-control" for k, _ in kept)
                message["headers"] = [*kept, *self._headers, *([] if cached else [(b"cache-control", b"no-store")])]
            await send(message)

        fault = self._fault(scope)
        if fault is None:
            await self.app(scope, receive, answer)
            return
        status, text = fault
        body = json.dumps({"error": text}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await answer({"type": "http.response.start", "status": status, "headers": headers})
        await answer({"type": "http.response.body", "body": body})

    def _fault(self, scope: Scope) -> tuple[int, str] | None:
        """Why a request is refused: status and sentence."""
        hosts, origins = _all(scope, b"host"), _all(scope, b"origin")
        if len(hosts) != 1 or not self._known(hosts[0]):
            return 421, "This server is not called by that name: open the address that zoo ui printed."
        if len(origins) > 1 or (origins and not self._same(origins[0], hosts[0])):
            return 403, "Only the page of this server may ask it: open the address that zoo ui printed."
        if self._token is None or not scope["path"].startswith("/api/"):
            return None
        given = _all(scope, b"authorization")
        scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.encode(), self._token):
            return (
                401,
                "The token is missing or another server's: open the address that zoo ui printed at its latest start.",
            )
        return None

    def _known(self, host: str) -> bool:
        try:
            parts = urlsplit(f"//{host}")
            name, port = (parts.hostname or "").lower(), parts.port
        except ValueError:
            return False
        if parts.username is not None or parts.path or name == "":
            return False
        if name in self.hosts and name not in LOOPBACK and not _is_address(name):
            return True  # a public name stands before a proxy, whose port is its own
        if (80 if port is None else port) != self.port:
            return False
        return name in self.hosts or (self.any_address and _is_address(name))

    def _same(self, origin: str, host: str) -> bool:
        """Whether an Origin is that of the Host."""
        scheme, slashes, rest = origin.partition("://")
        return slashes != "" and scheme in ("http", "https") and rest.lower() == host.lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _all(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]
