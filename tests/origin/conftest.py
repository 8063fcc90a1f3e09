"""What the origin's tests stand on: one local edge with its KV and its bucket, emptied before each test that asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import httpx
import pytest
from botocore.config import Config as S3Config

from origin.config import Config
from origin.kv import KvClient
from origin.lake import Lake
from origin.settings import Settings
from scripts.runtime.edge import Edge, run_edge
from scripts.stage import stage
from shared.snapshot import Snapshot
from tests.asking import place, variant
from tests.origin.logs import put_hero
from tests.origin.proxy import Proxy, run_proxy
from tests.origin.shop import MakeSettings, make_config

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings from outside: neither variables nor the file of a running edge."""
    for name in ("LAKE", "CONFIG", *(field.upper() for field in Settings.model_fields)):
        monkeypatch.delenv(f"USHER_{name}", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture
def targeted(lake: Lake) -> Snapshot:
    """A snapshot in the lake whose hero has a variant that only phones see."""
    return put_hero(lake, place("house", "offer", "season", variant("craft", condition={"device": "mobile"})))


@pytest.fixture
def ranked(lake: Lake) -> Snapshot:
    """A snapshot in the lake whose hero is a slate of three positions."""
    return put_hero(lake, place("a", "b", "c", "d", slots=3))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return make_config(tmp_path / "shop")


@pytest.fixture(scope="session")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    modules = tmp_path_factory.mktemp("edge") / "modules"
    stage(modules)
    with run_edge(options={"modules": str(modules)}) as edge:
        yield edge


@pytest.fixture
def make_settings(edge: Edge, lake: Lake) -> MakeSettings:
    """Settings for the local edge and the test's lake, with some fields changed."""

    def make(**changes: object) -> Settings:
        fields = {name.removeprefix("USHER_").lower(): value for name, value in edge.environment().items()}
        return Settings(_env_file=None, **{"lake": lake.root, **fields, **changes})  # type: ignore[arg-type, call-arg]

    return make


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    return make_settings()


@pytest.fixture
def s3(edge: Edge, settings: Settings) -> Iterator[S3Client]:
    """A client of the bucket, which is empty."""
    endpoint, key_id, secret = settings.s3_credentials()
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        region_name="auto",
        config=S3Config(s3={"addressing_style": "path"}),
    )
    for entry in client.list_objects_v2(Bucket=settings.bucket).get("Contents", []):
        client.delete_object(Bucket=settings.bucket, Key=entry["Key"])
    yield client
    client.close()


@pytest.fixture
def kv_url(edge: Edge) -> str:
    """The URL of the KV namespace, which is empty."""
    url = edge.environment()["USHER_KV_URL"]
    names = [each["name"] for each in httpx.get(f"{url}/keys").json()["result"]]
    if names:
        httpx.post(f"{url}/bulk/delete", json=names).raise_for_status()
    return url


@pytest.fixture
def proxy(edge: Edge) -> Iterator[Proxy]:
    with run_proxy(edge.url) as proxy:
        yield proxy


@pytest.fixture
def waits() -> list[float]:
    """The seconds that a KV client would have slept."""
    return []


@pytest.fixture
def kv(kv_url: str, waits: list[float]) -> Iterator[KvClient]:
    """A client of the real KV."""
    client = KvClient(kv_url, wait=waits.append)
    yield client
    client.close()


@pytest.fixture
def faulty_kv(kv_url: str, edge: Edge, proxy: Proxy, waits: list[float]) -> Iterator[KvClient]:
    """A client of the same KV through the proxy."""
    client = KvClient(kv_url.replace(edge.url, proxy.url), wait=waits.append)
    yield client
    client.close()
