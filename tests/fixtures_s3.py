"""A real S3-compatible server on loopback."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """The endpoint of a server with the bucket `faces`, which the environment names."""
    fsspec = pytest.importorskip("fsspec", reason="needs the extra shards (fsspec)")
    pytest.importorskip("s3fs", reason="needs the extra shards (s3fs)")
    server_module = pytest.importorskip("moto.server", reason="needs moto[server]")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        monkeypatch.delenv(name)
    values = {"ACCESS_KEY_ID": "tests", "SECRET_ACCESS_KEY": "tests", "DEFAULT_REGION": "us-east-1"}
    for name, value in {**values, "ENDPOINT_URL": f"http://{host}:{port}", "EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    reset = urllib.request.Request(f"http://{host}:{port}/moto-api/reset", method="POST")
    urllib.request.urlopen(reset).close()  # what it holds is its process's
    fsspec.filesystem("s3", skip_instance_cache=True).mkdir("faces")
    yield f"http://{host}:{port}"
    server.stop()
