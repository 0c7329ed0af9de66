"""A Hub on the loopback for tests: real HTTP for the real `huggingface_hub` client, with switches for faults.

    def test(hub: HubServer, tmp_path: Path) -> None:          # the fixture of fixtures_hub.py: one server, emptied before each test
        sha = hub.add("owner/name", Path("folder"))            # or {"config.json": b"{}"}; returns the commit
        subprocess.run([...], env=hub.environment(tmp_path))   # HF_ENDPOINT and an empty HF_HOME
        hub.faults.flip["model.safetensors"] = 1               # the next body of this file has one byte flipped
        assert hub.count("GET", "resolve") == 1

Endpoints and answers: those the client needs for whoami, create_repo, model_info, tree, paths-info, resolve (HEAD, GET, Range)
and upload_folder (validate-yaml, preupload, LFS batch, PUT, verify, commit).
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import socket
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from hub_repos import Faults, Repo, dead_endpoint, entry, etag, git_sha1, is_lfs

__all__ = ["TOKEN", "HubServer", "dead_endpoint"]
TOKEN = "hf_test_token"  # the account `tester`, which owns every repository and has passed every gate
READ_TOKEN = "hf_read_token"  # the same account's, without the right to write
BLOCK = 1 << 16


class HubServer:
    """The server, its repositories, the faults that are on, and what was asked of it."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.objects: dict[str, bytes] = {}
        self.faults = Faults()
        self.requests: list[tuple[str, str]] = []
        self.lock = threading.Lock()
        handler = type("BoundHandler", (Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> HubServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.faults = Faults()
        self._server.shutdown()
        self._server.server_close()

    def add(
        self, repo_id: str, files: Path | Mapping[str, bytes], *, private: bool = False, gated: bool = False
    ) -> str:
        """Put a folder's files (or these) as a new commit of `main`; returns the commit id."""
        if isinstance(files, Path):
            files = {p.relative_to(files).as_posix(): p.read_bytes() for p in sorted(files.rglob("*")) if p.is_file()}
        repo = self.repos.setdefault(repo_id, Repo())
        repo.private, repo.gated = private, gated
        return repo.commit(files)

    def reset(self) -> None:
        """No repositories, no faults, no requests: for a server that several tests share."""
        self.repos, self.objects, self.faults, self.requests = {}, {}, Faults(), []

    def count(self, method: str = "", part: str = "") -> int:
        """How many requests had this method and this text in their path."""
        return sum(m.startswith(method) and part in p for m, p in self.requests)

    def environment(self, home: Path, *, token: str | None = None, **more: str) -> dict[str, str]:
        """The environment of a subprocess that talks to this server only, its caches under `home`."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "ZOO_", "HUGGING", "TRANSFORMERS_"))}
        given = {"HF_TOKEN": token} if token else {}
        return kept | {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "NO_PROXY": "127.0.0.1",
            "OMP_NUM_THREADS": "1",
            **given,
            **more,
        }


class Refused(Exception):
    """An answer other than 200, as (status, X-Error-Code, message)."""


class Handler(BaseHTTPRequestHandler):
    """One request."""

    hub: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr."""

    def do_GET(self) -> None:
        """All methods are one table."""
        self.path = unquote(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length) if length else self._chunked()
        hub = self.hub
        with hub.lock:
            hub.requests.append((self.command, self.path))
        while hub.faults.hang:
            time.sleep(0.05)
        try:
            if hub.faults.unavailable:
                hub.faults.unavailable -= 1
                raise Refused(503, "", "try later")
            for method, pattern, answer in ROUTES:
                match = re.fullmatch(pattern, urlsplit(self.path).path)
                if match and self.command == method:
                    return getattr(self, answer)(**match.groupdict())
            raise Refused(404, "EntryNotFound", "no such address")
        except Refused as refused:
            status, code, message = refused.args
            headers = {"X-Error-Code": code} if code else {}
            self.send(status, {"error": message}, {"X-Error-Message": message, **headers})
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_HEAD = do_POST = do_PUT = do_GET

    def _chunked(self) -> bytes:
        parts = []
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
        return b"".join(parts)

    def send(self, status: int, value: Any, headers: Mapping[str, str] | None = None) -> None:
        """A JSON answer."""
        content = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {
            "Content-Type": "application/json",
            "Content-Length": str(len(content)),
            **(headers or {}),
        }.items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    # --- repositories -----------------------------------------------------------------------------------------------

    @property
    def known(self) -> bool:
        """The request bears the account's token."""
        return self.headers.get("Authorization") in (f"Bearer {TOKEN}", f"Bearer {READ_TOKEN}")

    def member(self) -> None:
        """Refuse a request without the token."""
        if not self.known:
            raise Refused(401, "", "Invalid username or password.")

    def writer(self) -> None:
        """Refuse a request without a token that may write."""
        self.member()
        if self.headers.get("Authorization") == f"Bearer {READ_TOKEN}":
            raise Refused(403, "", "You don't have the rights to create a model under this namespace")

    def repo(self, name: str, *, content: bool = True) -> Repo:
        """A repository that the request may read; `content`: also its gated files."""
        found = self.hub.repos.get(name)
        if found is None or (found.private and not self.known):
            raise Refused(404 if self.known else 401, "RepoNotFound", "Repository not found")
        if found.gated and content and not self.known:
            raise Refused(401, "GatedRepo", f"Access to model {name} is restricted.")
        return found

    def files(self, name: str, revision: str, *, content: bool = True) -> tuple[str, dict[str, bytes]]:
        """Commit and files of a revision."""
        repo = self.repo(name, content=content)
        sha = repo.sha(revision)
        if sha is None:
            raise Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return sha, repo.commits[sha]

    def whoami(self) -> None:
        self.member()
        auth = {"type": "access_token", "accessToken": {"displayName": "t", "role": "write"}}
        self.send(200, {"type": "user", "name": "tester", "orgs": [], "auth": auth})

    def validate(self) -> None:
        self.send(200, {"errors": [], "warnings": []})

    def create(self) -> None:
        self.writer()
        wanted = json.loads(self.body)
        name = f"{wanted.get('organization') or 'tester'}/{wanted['name']}"
        answer = {"url": f"{self.hub.url}/{name}", "name": name, "id": name}
        if name in self.hub.repos:
            return self.send(409, answer | {"error": "You already created this model repo"})
        private = wanted.get("visibility") == "private" or bool(wanted.get("private"))
        repo = self.hub.repos[name] = Repo(private=private)
        repo.commit({".gitattributes": b"*.safetensors filter=lfs\n"})
        self.send(200, answer)

    def info(self, name: str, revision: str = "main") -> None:
        sha, files = self.files(name, revision, content=False)
        repo = self.hub.repos[name]
        siblings = [{"rfilename": path, **self.blob(path, content)} for path, content in files.items()]
        facts = {"private": repo.private, "gated": "auto" if repo.gated else False, "disabled": False, "tags": []}
        self.send(
            200,
            {
                "_id": "0",
                "id": name,
                "modelId": name,
                "sha": sha,
                "siblings": siblings,
                "downloads": 0,
                "likes": 0,
                "lastModified": "2026-11-01T00:00:00.000Z",
                "createdAt": "2026-11-01T00:00:00.000Z",
                **facts,
            },
        )

    def blob(self, path: str, content: bytes) -> dict[str, Any]:
        """What `blobs=true` adds to a sibling."""
        if "blobs" not in parse_qs(urlsplit(self.path).query):
            return {}
        lfs = {"lfs": {"sha256": etag(path, content), "size": len(content), "pointerSize": 130}} if is_lfs(path) else {}
        return {"size": len(content), "blobId": git_sha1(content), **lfs}

    def tree(self, name: str, revision: str) -> None:
        _, files = self.files(name, revision, content=False)
        self.send(200, [entry(path, content) for path, content in sorted(files.items())])

    def paths_info(self, name: str, revision: str) -> None:
        _, files = self.files(name, revision, content=False)
        wanted = parse_qs(self.body.decode()).get("paths", [])
        self.send(200, [entry(path, files[path]) for path in wanted if path in files])

    # --- down -------------------------------------------------------------------------------------------------------

    def resolve(self, name: str, revision: str, path: str) -> None:
        """A file's bytes (or its head), whole or from `Range` on."""
        sha, files = self.files(name, revision)
        if path not in files:
            raise Refused(404, "EntryNotFound", "Entry not found")
        content, faults = files[path], self.hub.faults
        start = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first = int(start[1]) if start and path not in faults.endless else 0
        told = len(content) + faults.wrong_length.get(path, 0)
        self.send_response(206 if first else 200)
        headers = {"X-Repo-Commit": sha, "ETag": f'"{etag(path, content)}"', "Accept-Ranges": "bytes"}
        if is_lfs(path):
            headers |= {"X-Linked-Etag": headers["ETag"], "X-Linked-Size": str(told)}
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        head = self.command == "HEAD"
        headers["Content-Length"] = str(told if head else len(content) - first)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        if not head:
            self.stream(path, content, first)

    def stream(self, path: str, content: bytes, first: int) -> None:
        """The body, with this file's faults."""
        faults, stop = self.hub.faults, len(content)
        if faults.due(faults.flip, path):
            middle = len(content) // 2
            content = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        if path in faults.endless:
            stop = faults.endless[path]
        elif faults.due(faults.truncate, path):
            stop = first + (len(content) - first) // 2
        for place in range(first, stop, BLOCK):
            self.wfile.write(content[place : min(place + BLOCK, stop)])
            self.wfile.flush()
            time.sleep(faults.slow.get(path, 0))
        if stop < len(content):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    # --- up ---------------------------------------------------------------------------------------------------------

    def preupload(self, name: str, revision: str) -> None:
        self.writer()
        _, files = self.files(name, revision)
        answer = []
        for wanted in json.loads(self.body)["files"]:
            path = wanted["path"]
            old = {"oid": entry(path, files[path]).get("lfs", entry(path, files[path]))["oid"]} if path in files else {}
            mode = "lfs" if is_lfs(path) else "regular"
            answer.append({"path": path, "uploadMode": mode, "shouldIgnore": False, **old})
        self.send(200, {"files": answer})

    def branch(self, name: str, revision: str) -> None:
        self.writer()
        repo = self.repo(name)
        if revision in repo.branches:
            raise Refused(409, "", "Reference already exists")
        repo.branches[revision] = repo.branches["main"]
        self.send(200, {})

    def batch(self, name: str) -> None:
        self.writer()
        self.repo(name)
        objects = []
        for wanted in json.loads(self.body)["objects"]:
            oid, size = wanted["oid"], wanted["size"]
            upload = {"href": f"{self.hub.url}/upload/{oid}", "header": {}}
            verify = {"href": f"{self.hub.url}/verify/{oid}", "header": {}}
            missing = {} if oid in self.hub.objects else {"actions": {"upload": upload, "verify": verify}}
            objects.append({"oid": oid, "size": size, **missing})
        self.send(200, {"transfer": "basic", "objects": objects})

    def upload(self, oid: str) -> None:
        if hashlib.sha256(self.body).hexdigest() != oid:
            raise Refused(400, "", "the bytes do not have this sha256")
        self.hub.objects[oid] = self.body
        self.send(200, {})

    def verify(self, oid: str) -> None:
        told = json.loads(self.body)
        if oid not in self.hub.objects or told != {"oid": oid, "size": len(self.hub.objects[oid])}:
            raise Refused(400, "", "never arrived")
        self.send(200, {})

    def commit(self, name: str, revision: str) -> None:
        self.writer()
        _, before = self.files(name, revision)
        files = dict(before)
        for line in self.body.decode().splitlines():
            kind, value = (operation := json.loads(line))["key"], operation["value"]
            if kind == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif kind == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
            elif kind == "deletedFile":
                files.pop(value["path"], None)
        sha = self.hub.repos[name].commit(files, revision)
        url = f"{self.hub.url}/{name}/commit/{sha}"
        self.send(200, {"success": True, "commitUrl": url, "commitOid": sha, "hookOutput": "", "pullRequestUrl": None})


NAME, REV = r"(?P<name>[^/]+/[^/]+)", r"(?P<revision>[^/]+)"
ROUTES = (
    ("GET", r"/api/whoami-v2", "whoami"),
    ("POST", r"/api/validate-yaml", "validate"),
    ("POST", r"/api/repos/create", "create"),
    ("GET", rf"/api/models/{NAME}", "info"),
    ("GET", rf"/api/models/{NAME}/revision/{REV}", "info"),
    ("GET", rf"/api/models/{NAME}/tree/{REV}", "tree"),
    ("POST", rf"/api/models/{NAME}/paths-info/{REV}", "paths_info"),
    ("POST", rf"/api/models/{NAME}/preupload/{REV}", "preupload"),
    ("POST", rf"/api/models/{NAME}/branch/{REV}", "branch"),
    ("POST", rf"/api/models/{NAME}/commit/{REV}", "commit"),
    ("POST", r"/(?P<name>[^/]+/[^/]+)\.git/info/lfs/objects/batch", "batch"),
    ("PUT", r"/upload/(?P<oid>[0-9a-f]{64})", "upload"),
    ("POST", r"/verify/(?P<oid>[0-9a-f]{64})", "verify"),
    ("GET", rf"/{NAME}/resolve/{REV}/(?P<path>.+)", "resolve"),
    ("HEAD", rf"/{NAME}/resolve/{REV}/(?P<path>.+)", "resolve"),
)
