"""Bring new objects from R2 into the lake."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config as S3Config
from botocore.exceptions import BotoCoreError, ClientError

from origin.errors import PullError, SettingsError
from origin.lake import Lake
from origin.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FOLDERS = ("events/", "quarantine/")
SUFFIX = ".ndjson.gz"
THREADS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """What a pull did: objects and lines brought in, and objects that were there already."""

    objects: int
    lines: int
    known: int


def pull(lake: Lake, settings: Settings) -> Pulled:
    """Download every object of the bucket's events and quarantine that the lake does not hold yet.

    Raises SettingsError, PullError where the bucket cannot be read, and, after everything else was stored, PullError
    where an object is damaged; such an object is not stored and is tried again by the next pull.
    """
    client = _connect(settings)
    try:
        keys = list(_list_keys(client, settings.bucket))
    except (BotoCoreError, ClientError) as error:
        raise PullError(f"bucket {settings.bucket}: {error}; check USHER_S3_ENDPOINT and the credentials") from error
    wanted = [key for key in keys if not (lake.root / key).exists()]
    with ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(lambda key: _bring(client, settings.bucket, lake, key), wanted))
    problems = [result for result in results if isinstance(result, str)]
    if problems:
        raise PullError(
            f"{len(problems)} of {len(wanted)} objects could not be read, the others are stored; first: {problems[0]}"
        )
    lines = sum(result for result in results if isinstance(result, int))
    return Pulled(objects=len(wanted), lines=lines, known=len(keys) - len(wanted))


def _connect(settings: Settings) -> S3Client:
    endpoint, key_id, secret = settings.s3_credentials()
    try:
        return _make_client(endpoint, key_id, secret)
    except ValueError as error:
        raise SettingsError(f"USHER_S3_ENDPOINT: {error}") from error


def _make_client(endpoint: str, key_id: str, secret: str) -> S3Client:
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        region_name="auto",
        config=S3Config(
            s3={"addressing_style": "path"},
            retries={"max_attempts": 5, "mode": "standard"},
            max_pool_connections=THREADS,
        ),
    )


def _list_keys(client: S3Client, bucket: str) -> Iterator[str]:
    paginator = client.get_paginator("list_objects_v2")
    for folder in FOLDERS:
        for page in paginator.paginate(Bucket=bucket, Prefix=folder):
            for entry in page.get("Contents", []):
                if entry["Key"].endswith(SUFFIX):  # not the empty objects by which consoles mark folders
                    yield _safe(entry["Key"])


def _safe(key: str) -> str:
    if ".." in key.split("/") or key.startswith("/") or "\\" in key:
        raise PullError(f"object {key!r} has a name that leads out of the lake; remove it from the bucket")
    return key


def _bring(client: S3Client, bucket: str, lake: Lake, key: str) -> int | str:
    """Store one object and return its number of lines, or say what is wrong with it."""
    try:
        content = client.get_object(Bucket=bucket, Key=key)["Body"].read()
        lines = gzip.decompress(content).splitlines()
        for line in lines:
            json.loads(line)
    except (BotoCoreError, ClientError) as error:
        return f"{key}: {error}"
    except (OSError, EOFError, ValueError, RecursionError, zlib.error) as error:
        return f"{key}: not gzip-compressed NDJSON ({error})"
    lake.write(lake.root / key, content)
    return len(lines)
