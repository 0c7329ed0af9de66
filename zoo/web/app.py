"""The addresses of the server: the page, and `/api/` for what the page asks. FastAPI, the extra `ui`."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from zoo.errors import ZooError, plain
from zoo.files.jsonfiles import parse_json
from zoo.web.imports import read_map
from zoo.web.jobs import Desk, Full, Job, unforeseen
from zoo.web.limits import Limits
from zoo.web.photos import Forgotten
from zoo.web.studio import Studio
from zoo.web.wire import write_map

STATIC = Path(__file__).parent / "static"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
    ".map": "application/json",
}
"""Files of the page by their endings; others are not served."""
SESSION = re.compile(r"[A-Za-z0-9_-]{8,64}")
BEAT = 10.0
"""Seconds without news after which a line says that a job is still there."""


PATIENCE = 4
"""Times its limit that a body is read (and thrown away) so that the page hears the answer; past that the line is cut."""


class TooLarge(ZooError):
    """A body is longer than it may be. cut: the rest of it is still to come."""

    def __init__(self, limit: int, *, cut: bool) -> None:
        super().__init__(f"This is more than the {limit / 2**20:.0f} MiB that are taken: scale the picture down first.")
        self.cut = cut


class Tabs:
    """The open pages by the name that they gave themselves; the one unseen for longest is forgotten."""

    def __init__(self, studio: Studio, desk: Desk) -> None:
        self.studio, self.desk = studio, desk
        self._seen: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def name(self, request: Request) -> str:
        """The tab that asks. Raises ZooError for one without a name."""
        name = request.headers.get("x-zoo-session", "")
        if SESSION.fullmatch(name) is None:
            raise ZooError("The page gave no name of its tab (X-Zoo-Session: 8 to 64 letters, digits, - and _).")
        with self._lock:
            self._seen[name] = time.monotonic()
            self._seen.move_to_end(name)
            idle = [n for n in self._seen if n != name and not self.desk.busy(n)]
            for old in idle[: max(0, len(self._seen) - self.studio.limits.sessions)]:
                del self._seen[old]
                self.studio.painter.forget(old)
        return name


async def body_of(request: Request, limit: int) -> bytes:
    """A request's body, no more than `limit` bytes of it kept. Raises TooLarge."""
    stated = request.headers.get("content-length", "")
    if stated.isdecimal() and int(stated) > PATIENCE * limit:
        raise TooLarge(limit, cut=True)
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > PATIENCE * limit:
            raise TooLarge(limit, cut=True)
        if size <= limit:
            pieces.append(piece)
        else:
            pieces.clear()
    if size > limit:
        raise TooLarge(limit, cut=False)
    return b"".join(pieces)


class Lines(Response):
    """The news of a job as lines of JSON; the job is cancelled when its reader goes away."""

    media_type = "application/x-ndjson"

    def __init__(self, job: Job, news: asyncio.Queue[dict[str, Any]], desk: Desk) -> None:
        super().__init__()
        self.job, self.news, self.desk = job, news, desk
        del self.headers["content-length"]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send line after line until the last, or until nobody reads."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        gone = asyncio.ensure_future(_gone(receive))
        latest: dict[str, Any] = {"progress": [0, 1], "text": "waiting"}
        try:
            await self._send(send, latest)
            while True:
                line = asyncio.ensure_future(self.news.get())
                await asyncio.wait({line, gone}, timeout=BEAT, return_when=asyncio.FIRST_COMPLETED)
                if gone.done():
                    line.cancel()
                    return
                if not line.done():
                    line.cancel()
                    await self._send(send, latest)
                    continue
                latest = line.result()
                last = "progress" not in latest
                await self._send(send, latest, more=not last)
                if last:
                    return
        finally:
            gone.cancel()
            self.desk.cancel(self.job, "The page went away.")

    async def _send(self, send: Any, line: dict[str, Any], *, more: bool = True) -> None:
        content = (json.dumps(line, ensure_ascii=False) + "\n").encode()
        await send({"type": "http.response.body", "body": content, "more_body": more})


async def _gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def make_app(studio: Studio, *, threads: int = 2, static: Path = STATIC) -> FastAPI:
    """The server's app, without its guard. threads: that do jobs."""
    limits: Limits = studio.limits
    desk = Desk(limits, threads)
    tabs = Tabs(studio, desk)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        warming.start()
        yield
        await run_in_threadpool(desk.close)

    warming = threading.Thread(target=studio.pool.warm, name="zoo-warm", daemon=True)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.state.desk, app.state.warming = desk, warming
    _say_faults(app)

    @app.get("/")
    async def page() -> Response:
        return _file(static, "index.html")

    @app.get("/static/{name:path}")
    async def part(name: str) -> Response:
        return _file(static, name)

    @app.get("/api/facts")
    async def facts() -> Response:
        return JSONResponse(await run_in_threadpool(studio.facts))

    @app.post("/api/photos")
    async def photo(request: Request) -> Response:
        tabs.name(request)
        found = await run_in_threadpool(studio.photos.add, await body_of(request, limits.upload))
        height, width = found.size
        return JSONResponse({"photo": found.id, "width": width, "height": height, "notes": list(found.notes)})

    @app.post("/api/maps")
    async def a_map(request: Request, name: str = "", space: str = "", read: str = "") -> Response:
        tabs.name(request)
        content = await body_of(request, limits.upload)
        found = await run_in_threadpool(
            lambda: read_map(content, name, studio.offers, limits, read_as=read, target=space)
        )
        written = write_map(found.values, found.space)
        return JSONResponse({"map": written, "notes": list(found.notes), "readings": list(found.readings)})

    @app.post("/api/run")
    async def run(request: Request) -> Response:
        session = tabs.name(request)
        content = await body_of(request, limits.job)
        asked = parse_json(content, dict, where="The job", limit=limits.job)
        kind, work = await run_in_threadpool(studio.run, asked, session)
        loop, news = asyncio.get_running_loop(), asyncio.Queue[dict[str, Any]]()

        def emit(line: dict[str, Any]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(news.put_nowait, line)

        job = Job(kind, session, work, emit)
        job.work.report = lambda done, total, text: emit({"progress": [done, total], "text": text})
        desk.submit(job)
        return Lines(job, news, desk)

    return app


def _file(static: Path, name: str) -> Response:
    """A file of the page. The name is looked up among those that are there; it is never made a path."""
    found = {p.relative_to(static).as_posix(): p for p in static.rglob("*") if p.is_file() and p.suffix in TYPES}
    if name not in found:
        return JSONResponse({"error": "There is nothing at this address."}, 404)
    headers = {"cache-control": "no-cache"}
    return Response(found[name].read_bytes(), media_type=TYPES[found[name].suffix], headers=headers)


def _say_faults(app: FastAPI) -> None:
    """Every fault as one sentence."""

    @app.exception_handler(ZooError)
    async def known(_: Request, error: Exception) -> Response:
        text = plain(str(error))
        if isinstance(error, Forgotten):
            return JSONResponse({"error": text, "missing": error.ids}, 410)
        if isinstance(error, Full):
            return JSONResponse({"error": text, "retry": True}, 429, {"retry-after": "2"})
        if isinstance(error, TooLarge):
            return JSONResponse({"error": text}, 413, {"connection": "close"} if error.cut else None)
        return JSONResponse({"error": text}, 400)

    @app.exception_handler(HTTPException)
    async def nothing(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        told = {404: "There is nothing at this address.", 405: "This address is not asked in that way."}
        return JSONResponse({"error": told.get(error.status_code, "The request cannot be read.")}, error.status_code)

    @app.exception_handler(Exception)
    async def unknown(_: Request, error: Exception) -> Response:
        return JSONResponse({"error": unforeseen(error)}, 500)  # its traceback is written to the terminal by uvicorn
