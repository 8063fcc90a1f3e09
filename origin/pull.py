"""Bring new objects from R2 into the lake."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import quote

import boto3
import msgspec
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config as S3Config
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Meta, Struct
from urllib3 import PoolManager, Retry
from urllib3.exceptions import HTTPError

from origin.compacted import SUFFIX, KnownObjects, read_index
from origin.errors import PullError, SettingsError
from origin.lake import Lake
from origin.lines import DAMAGE, decompress
from origin.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FOLDERS = ("events/", "quarantine/")
THREADS = 8
LATEST_MS: Final = 1 << 53


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """What a pull did: objects and lines brought in, objects that were there already, and for each object that is
    damaged its key and what is wrong with it."""

    objects: int
    lines: int
    known: int
    damaged: tuple[str, ...] = ()


def pull(lake: Lake, settings: Settings) -> Pulled:
    """Download every object of the bucket's events and quarantine that the lake does not hold yet, as it came or
    compacted.

    An object that is damaged, or whose name leads out of the lake, is not stored; it is named in the result and tried
    again by the next pull. Raises SettingsError, LakeError, and PullError where the bucket cannot be read.
    """
    client = connect(settings)
    known = KnownObjects(lake, read_index(lake))
    try:
        keys = list(list_keys(client, settings.bucket))
    except (BotoCoreError, ClientError) as error:
        raise PullError(f"bucket {settings.bucket}: {error}; check USHER_S3_ENDPOINT and the credentials") from error
    safe = [key for key in keys if _is_safe(key)]
    unsafe = [
        f"{key!r}: the name leads out of the lake; remove it from the bucket" for key in keys if not _is_safe(key)
    ]
    reader = ObjectReader(settings)
    wanted = [key for key in safe if key not in known and not (lake.root / key).exists()]
    with ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(lambda key: _bring(reader, lake, key), wanted))
    lines = [result for result in results if isinstance(result, int)]
    damaged = [result for result in results if isinstance(result, str)]
    return Pulled(
        objects=len(lines), lines=sum(lines), known=len(safe) - len(wanted), damaged=tuple(sorted(unsafe + damaged))
    )


def connect(settings: Settings) -> S3Client:
    """A client of the bucket. Raises SettingsError."""
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


class ObjectReader:
    """Reads objects of the bucket. boto3 takes as much processor time to ask for one as reading 2,000 events takes; so
    the request is only signed by its library, and sent by the one below it."""

    def __init__(self, settings: Settings) -> None:
        endpoint, key_id, secret = settings.s3_credentials()
        self._base = f"{endpoint.rstrip('/')}/{settings.bucket}/"
        self._signer = S3SigV4Auth(Credentials(key_id, secret), "s3", "auto")
        retries = Retry(total=4, status_forcelist=(429, 500, 502, 503, 504), backoff_factor=0.1)
        self._pool = PoolManager(maxsize=THREADS, retries=retries)

    def read(self, key: str) -> bytes:
        """The content of an object. Raises urllib3's HTTPError, and PullError where the bucket refuses."""
        request = AWSRequest("GET", self._base + quote(key, safe="/~"))
        self._signer.add_auth(request)
        response = self._pool.request("GET", str(request.url), headers=dict(request.headers.items()))
        if response.status != 200:
            raise PullError(f"the bucket answered with the status {response.status}")
        return response.data


def list_keys(client: S3Client, bucket: str, folders: tuple[str, ...] = FOLDERS) -> Iterator[str]:
    """The keys of the objects below some folders of the bucket, in order. Raises what botocore raises."""
    paginator = client.get_paginator("list_objects_v2")
    for folder in folders:
        for page in paginator.paginate(Bucket=bucket, Prefix=folder):
            for entry in page.get("Contents", []):
                if entry["Key"].endswith(SUFFIX):  # not the empty objects by which consoles mark folders
                    yield entry["Key"]


def _is_safe(key: str) -> bool:
    return ".." not in key.split("/") and not key.startswith("/") and "\\" not in key


def _bring(reader: ObjectReader, lake: Lake, key: str) -> int | str:
    """Store one object and return its number of lines, or say what is wrong with it."""
    is_event = key.startswith("events/")
    try:
        content = reader.read(key)
        text = decompress(content)
        lines = _check(text, is_event=is_event)
        problem = None
        if lines is None:
            lines, problem = _check_lines(text, is_event=is_event)
    except (PullError, HTTPError) as error:
        return f"{key}: {error}"
    except DAMAGE as error:
        return f"{key}: not gzip-compressed NDJSON ({error})"
    if problem is not None:
        return f"{key}: {problem}; mend the object or remove it from the bucket"
    lake.write(lake.root / key, content)
    return lines


def _check(text: bytes, *, is_event: bool) -> int | None:
    """The number of lines, where one look says that all are good; else None."""
    try:
        if not text.isascii():
            text.decode()
        lines = (_event_decoder if is_event else _record_decoder).decode_lines(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return len(lines) if len(lines) == text.count(b"\n") else None


def _check_lines(text: bytes, *, is_event: bool) -> tuple[int, str | None]:
    """The number of lines, and what is wrong with the first that is not good. Raises ValueError or RecursionError."""
    records = [json.loads(line, parse_constant=_refuse) for line in text.splitlines()]
    for number, record in enumerate(records, 1):
        problem = _find_problem(record, is_event=is_event)
        if problem is not None:
            return len(records), f"line {number}: {problem}"
    return len(records), None


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON")


def _find_problem(record: object, *, is_event: bool) -> str | None:
    """Say what in a line would break every training that reads it."""
    if not isinstance(record, dict):
        return "expected a JSON object"
    if not is_event:
        return None
    if not isinstance(record.get("type"), str):
        return "type: expected a text"
    if record.get("received_ms") is None:
        return "received_ms: expected a whole number"
    for name, (is_right, expected) in _FIELDS.items():
        value = record.get(name)
        if value is not None and not is_right(value):
            return f"{name}: expected {expected}, got {str(value)[:40]!r}"
    return None


def _is_moment(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LATEST_MS


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


# The fields that training reads as something else than text, which anything can be read as.
_FIELDS: Final[Mapping[str, tuple[Callable[[object], bool], str]]] = {
    "received_ms": (_is_moment, "a whole number"),
    "happened_ms": (_is_moment, "a whole number"),
    "propensity": (_is_share, "a number from 0 to 1"),
    "holdout": (lambda value: isinstance(value, bool), "true or false"),
    "randomised": (lambda value: isinstance(value, bool), "true or false"),
    "context": (lambda value: isinstance(value, dict), "an object"),
}


class _Record(Struct):
    """Any JSON object."""


class _Event(Struct, gc=False):
    """What `_find_problem` looks at, by the same rules: whole objects are checked by it at once."""

    type: str
    received_ms: Annotated[int, Meta(ge=0, lt=LATEST_MS)]
    happened_ms: Annotated[int, Meta(ge=0, lt=LATEST_MS)] | None = None
    propensity: Annotated[float, Meta(ge=0, le=1)] | None = None
    holdout: bool | None = None
    randomised: bool | None = None
    context: _Record | None = None


_event_decoder: Final = msgspec.json.Decoder(_Event)
_record_decoder: Final = msgspec.json.Decoder(_Record)
