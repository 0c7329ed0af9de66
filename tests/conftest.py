"""Fixtures of all tests: the shared material, and no network beyond the loopback."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

# set before Hugging Face's libraries are imported, which read them once
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
# two workers share the cores (`-n 2` in setup.cfg): with threads of their own they would only get in each other's way
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Iterator[None]:
    """Connections go to this machine only."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def allowed(sock: socket.socket, address: object) -> None:
        if sock.family == socket.AF_UNIX:
            return
        host = address[0] if isinstance(address, tuple) else address
        if host not in ("127.0.0.1", "::1", "localhost"):
            raise OSError(f"tests do not use the network, and {host!r} was called")

    def guarded(sock: socket.socket, address: object):
        allowed(sock, address)
        return connect(sock, address)

    def guarded_ex(sock: socket.socket, address: object):
        allowed(sock, address)
        return connect_ex(sock, address)

    socket.socket.connect, socket.socket.connect_ex = guarded, guarded_ex  # type: ignore[method-assign]
    yield
    socket.socket.connect, socket.socket.connect_ex = connect, connect_ex  # type: ignore[method-assign]


@pytest.fixture(autouse=True, scope="session")
def ctrl_c_works() -> None:
    """Shells start background jobs with SIGINT ignored, which our children would inherit and which no user's `zoo` has."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The shared folder beside the checkout (papers, golden vectors, data); skips where it is absent."""
    if not (SHARED / "golden").is_dir():
        pytest.skip(f"needs the shared material, and there is no {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def faces(shared: Path) -> Path:
    """The CelebAMask-HQ sample; skips where it is absent."""
    if not (shared / "data/celebamask-hq/labels").is_dir():
        pytest.skip(f"needs {shared / 'data/celebamask-hq'}")
    return shared / "data/celebamask-hq"


pytest_plugins = [
    "fixtures_models",
    "fixtures_hub",
    "fixtures_ui",
    "fixtures_pages",
    "fixtures_processors",
    "fixtures_s3",
]


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Layers of tiny networks only wait for each other's threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
