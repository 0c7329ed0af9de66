"""A Ray cluster: reached at an address, or started on this machine for one run. Ray is imported in here and in `actors` only, inside
functions: it is an extra, and heavy."""

from __future__ import annotations

import atexit
import io
import logging
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from importlib.util import find_spec
from typing import Any

from zoo.errors import DataError, UsageError

HERE = "local"
"""The address that stands for a cluster of this machine alone, which ends with the run."""
PORT = 6379
"""Where a head node listens, if it was not told otherwise."""
_PROBE = 5.0
"""Seconds in which a head node must take a connection: Ray itself tries for minutes."""
_OBJECTS = 80 << 20
"""Bytes of the object store of a cluster that we start, about the least that Ray allows: shards never go through it."""
_QUIET = {"RAY_NUM_REDIS_GET_RETRIES": "2", "RAY_USAGE_STATS_ENABLED": "0"}
"""Two tries to reach a head, of 40 seconds each at most, instead of twenty."""
_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""What makes Ray take 127.0.0.1 for this machine's address; to name it (`_node_ip_address`) does not, Ray puts the outward one instead."""


def check_address(address: str) -> str:
    """`local`, `auto`, or HOST:PORT of a head node that takes connections; an empty address means that of RAY_ADDRESS, else `local`.

    Raises UsageError for what is no address or when Ray is not installed, DataError where nothing listens.
    """
    if find_spec("ray") is None:  # not imported yet: it reads the variables below while it is
        raise UsageError("<<ray>> needs Ray: pip install 'maskzoo[ray]'.")
    address = address or os.environ.get("RAY_ADDRESS") or HERE
    if address in (HERE, "auto"):
        return address
    host, _, port = address.rpartition(":")
    if "/" in address or not host or not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise UsageError(
            f"<<ray>> takes HOST:PORT of a cluster's head (Ray's default port is {PORT}; this machine must be one of its nodes), auto for the"
            f" cluster that runs here, or nothing, which starts Ray here; got {address[:80]!r}."
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PROBE).close()
    except (OSError, UnicodeError) as error:
        raise DataError(
            f"There is no Ray cluster at {address} ({getattr(error, 'strerror', None) or error}): ray start --head starts one, and"
            " <<ray>> without an address uses this machine alone."
        ) from error
    return address


def check_cluster(address: str) -> None:
    """What can be told of a cluster before models are loaded: `check_address`, and whether one runs here where it says auto (which only
    Ray knows, so it is asked). Raises UsageError, DataError."""
    if check_address(address) == "auto":
        with connected("auto", 1):
            pass


@contextmanager
def connected(address: str, processors: int) -> Iterator[Any]:
    """The module `ray`, connected while the block lasts. address: of `check_address`. processors: that a cluster which we start says it has.

    Raises DataError where Ray cannot be reached or started, UsageError in a process that is connected already.
    """
    with ExitStack() as stack:
        stack.enter_context(_environment(_variables(address)))
        import ray  # pyright: ignore[reportMissingImports]

        if ray.is_initialized():
            raise UsageError("This process is connected to a Ray cluster already: ray.shutdown() first.")
        options: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": logging.CRITICAL}
        if address == HERE:
            place = tempfile.mkdtemp(prefix="zoo-ray-")
            atexit.register(shutil.rmtree, place, True)  # after Ray has ended what a start that failed left
            stack.callback(shutil.rmtree, place, True)
            options |= {"num_cpus": processors, "include_dashboard": False, "object_store_memory": _OBJECTS}
            options["_temp_dir"] = place
        stack.callback(ray.shutdown)
        _start(ray, options)
        # where Ray tells of every lost process in twenty lines; the engine does in one
        stack.enter_context(redirect_stdout(_Nowhere()))
        yield ray


def _start(ray: Any, options: dict[str, Any]) -> None:
    """Connect. A cluster of this machine gets a second try: on a busy one the first can take longer than Ray waits."""
    address = options["address"]
    for last in (False, True) if address == HERE else (True,):
        try:
            with _signals():
                ray.init(**options)
            return
        except (Exception, SystemExit) as error:
            ray.shutdown()
            if last:
                raise DataError(_why(address, error)) from error


class _Nowhere(io.TextIOBase):
    """Takes text and keeps none."""

    def write(self, text: str, /) -> int:
        return len(text)


def _variables(address: str) -> dict[str, str]:
    """What Ray reads from the environment. A cluster that we start is reached on 127.0.0.1 alone, and asks for a token of its own."""
    if address == HERE:
        return {**_QUIET, **_LOOPBACK, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    host, _, port = address.rpartition(":")
    return {**_QUIET, **_LOOPBACK} if host in ("127.0.0.1", "localhost") and not _outward(int(port)) else _QUIET


def _outward(port: int) -> bool:
    """Whether this port of this machine is also open at the address by which others see it, which Ray puts for 127.0.0.1."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))  # an address of nobody's; nothing is sent
            mine = probe.getsockname()[0]
        socket.create_connection((mine, port), _PROBE).close()
    except OSError:
        return False
    return True


def _why(address: str, error: BaseException) -> str:
    text = brief(error)
    if "uthentication" in text or "uthentication" in repr(error.__cause__):
        return (
            f"The Ray cluster at {address} asks for a token: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or the file ~/.ray/auth_token as"
            " on its head."
        )
    if address == HERE:
        return f"Ray cannot be started on this machine: {text}."
    if address == "auto":
        return "No Ray cluster runs on this machine: ray start --head starts one, <<ray=HOST:PORT>> names another."
    return f"The Ray cluster at {address} cannot be used from this machine, which must be one of its nodes: {text}."


def brief(error: BaseException) -> str:
    """What an error of Ray's says, as one line without a full stop: its first one that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300].rstrip(".")


class Head:
    """The head of the cluster that this process is connected to."""

    def __init__(self, ray: Any) -> None:
        self.address = str(ray.get_runtime_context().gcs_address)
        self._answered = self._asked = time.monotonic()

    def silent(self) -> float:
        """Seconds since it last took a connection; it is asked every few seconds."""
        now = time.monotonic()
        if now - self._asked > _PROBE:
            host, _, port = self.address.rpartition(":")
            try:
                socket.create_connection((host.strip("[]"), int(port)), _PROBE).close()
                self._answered = time.monotonic()
            except OSError:
                pass
            self._asked = time.monotonic()
        return self._asked - self._answered


@contextmanager
def _environment(wanted: dict[str, str]) -> Iterator[None]:
    """Variables that Ray reads when it is imported and started; those that are set stay as they are."""
    added = [name for name in wanted if name not in os.environ]
    os.environ.update({name: wanted[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


@contextmanager
def _signals() -> Iterator[None]:
    """Keep this process's own handler of SIGTERM, which Ray replaces."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)
