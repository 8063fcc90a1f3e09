"""Objects of the bucket come into the lake once, and whole."""

from __future__ import annotations

import gzip
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from origin.errors import PullError, SettingsError
from origin.lake import Lake
from origin.pull import Pulled, pull
from origin.settings import Settings
from tests.origin.proxy import Answer, Call, Forward, Proxy
from tests.origin.shop import MakeSettings, exposure, goal, pack

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

GOOD = b'{"type": "goal", "received_ms": 1}\n'
DAMAGED = "events/2026-11-22/04/damaged.ndjson.gz"


def put(s3: S3Client, settings: Settings, objects: dict[str, bytes]) -> None:
    for key, content in objects.items():
        s3.put_object(Bucket=settings.bucket, Key=key, Body=content)


def files_of(lake: Lake) -> dict[str, bytes]:
    return {str(file.relative_to(lake.root)): file.read_bytes() for file in lake.root.rglob("*") if file.is_file()}


@pytest.fixture
def objects() -> dict[str, bytes]:
    quarantined = {"quarantine/2026-11-22/04/one.ndjson.gz": gzip.compress(b'{"reason": "bad"}\n')}
    return {**pack([exposure(1), goal(1)], "a"), **pack([exposure(2)], "b"), **quarantined}


def test_an_empty_bucket_brings_nothing(s3: S3Client, lake: Lake, settings: Settings) -> None:
    assert pull(lake, settings) == Pulled(objects=0, lines=0, known=0)
    assert not lake.root.exists()


def test_every_object_arrives_once_and_byte_for_byte(
    s3: S3Client, lake: Lake, settings: Settings, objects: dict[str, bytes]
) -> None:
    put(s3, settings, {**objects, "other/x.ndjson.gz": b"not ours", "events": b"no folder"})
    assert pull(lake, settings) == Pulled(objects=3, lines=4, known=0)
    assert files_of(lake) == objects
    assert pull(lake, settings) == Pulled(objects=0, lines=0, known=3)
    put(s3, settings, dict(pack([goal(2)], "c")))
    assert pull(lake, settings) == Pulled(objects=1, lines=1, known=3)


def test_more_objects_than_one_page_of_the_listing_arrive(
    s3: S3Client, lake: Lake, settings: Settings, make_settings: MakeSettings, proxy: Proxy
) -> None:
    put(s3, settings, {f"events/2026-11-22/04/{i}.ndjson.gz": gzip.compress(GOOD) for i in range(3)})

    listing: list[bytes] = []

    def one_a_page(call: Call, forward: Forward) -> Answer:
        if "prefix=events" not in call.path:
            return forward(call)
        if not listing:
            listing.extend(re.findall(rb"<Contents>.*?</Contents>", forward(call).body, re.DOTALL))
        start = int(re.findall(r"continuation-token=(\d+)|$", call.path)[0] or 0)
        more = start + 1 < len(listing)
        token = b"<NextContinuationToken>%d</NextContinuationToken>" % (start + 1) if more else b""
        truncated = b"<IsTruncated>%s</IsTruncated>" % (b"true" if more else b"false")
        parts = [truncated, token, b"<EncodingType>url</EncodingType>", listing[start]]
        body = b"<ListBucketResult>" + b"".join(parts) + b"</ListBucketResult>"
        return Answer(status=200, body=body)

    proxy.rule = one_a_page
    assert pull(lake, through(proxy, settings, make_settings)).objects == 3
    assert sorted(files_of(lake)) == [f"events/2026-11-22/04/{i}.ndjson.gz" for i in range(3)]


def test_what_consoles_leave_to_mark_a_folder_is_passed_over(
    s3: S3Client, lake: Lake, settings: Settings, objects: dict[str, bytes]
) -> None:
    put(s3, settings, {"events/": b"", "events/2026-11-22/": b"", "events/notes.txt": b"hello", **objects})
    assert pull(lake, settings).objects == 3
    assert files_of(lake) == objects


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(b'{"a": 1}\n' * 100)[:-12],
        b"\x1f\x8b" + bytes(range(200)),
        bytes(byte ^ (0x5A if 20 < i < 40 else 0) for i, byte in enumerate(gzip.compress(b'{"a": 1}\n' + bytes(99)))),
        b'{"a": 1}\n',
        gzip.compress(b'{"a": 1}\n{"a"\n'),
        gzip.compress(b'{"a": "\xff"}\n'),
        gzip.compress(b"[" * 100_000),
        gzip.compress(b'{"type": "goal", "received_ms": NaN}\n'),
    ],
    ids=["cut", "nonsense", "flipped", "not packed", "no json", "no utf-8", "too deep", "no number"],
)
def test_a_damaged_object_is_named_and_comes_once_it_is_mended(
    s3: S3Client, lake: Lake, settings: Settings, objects: dict[str, bytes], content: bytes
) -> None:
    put(s3, settings, {**objects, DAMAGED: content})
    done = pull(lake, settings)
    assert (done.objects, done.lines, done.known, len(done.damaged)) == (3, 4, 0, 1)
    assert done.damaged[0].startswith(f"{DAMAGED}: not gzip-compressed NDJSON (")
    assert files_of(lake) == objects
    mended = gzip.compress(GOOD)
    put(s3, settings, {DAMAGED: mended})
    assert pull(lake, settings) == Pulled(objects=1, lines=1, known=3)
    assert files_of(lake) == {**objects, DAMAGED: mended}


def test_a_damaged_object_of_the_quarantine_is_named_too(s3: S3Client, lake: Lake, settings: Settings) -> None:
    put(s3, settings, {"quarantine/a.ndjson.gz": b"x", "quarantine/b.ndjson.gz": gzip.compress(b"[]\n")})
    done = pull(lake, settings)
    assert done.damaged[0].startswith("quarantine/a.ndjson.gz: not gzip-compressed NDJSON (")
    assert done.damaged[1].startswith("quarantine/b.ndjson.gz: line 1: expected a JSON object; ")
    assert done.objects == 0


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"[]", "expected a JSON object"),
        (b'"goal"', "expected a JSON object"),
        (b'{"received_ms": 1}', "type: expected a text"),
        (b'{"type": 5, "received_ms": 1}', "type: expected a text"),
        (b'{"type": "exposure"}', "received_ms: expected a whole number"),
        (b'{"type": "exposure", "received_ms": "soon"}', "received_ms: expected a whole number, got 'soon'"),
        (b'{"type": "exposure", "received_ms": true}', "received_ms: expected a whole number, got 'True'"),
        (b'{"type": "exposure", "received_ms": 1e99}', "received_ms: expected a whole number, got '1e+99'"),
        (b'{"type": "goal", "received_ms": 1, "happened_ms": ""}', "happened_ms: expected a whole number, got ''"),
        (b'{"type": "x", "received_ms": 1, "propensity": "p"}', "propensity: expected a number from 0 to 1, got 'p'"),
        (b'{"type": "x", "received_ms": 1, "holdout": "no"}', "holdout: expected true or false, got 'no'"),
        (b'{"type": "x", "received_ms": 1, "randomised": 3}', "randomised: expected true or false, got '3'"),
        (b'{"type": "x", "received_ms": 1, "context": "x"}', "context: expected an object, got 'x'"),
    ],
)
def test_an_event_that_would_break_every_training_is_refused(
    s3: S3Client, lake: Lake, settings: Settings, line: bytes, problem: str
) -> None:
    put(s3, settings, {DAMAGED: gzip.compress(GOOD + line + b"\n")})
    assert pull(lake, settings) == Pulled(
        objects=0,
        lines=0,
        known=0,
        damaged=(f"{DAMAGED}: line 2: {problem}; mend the object or remove it from the bucket",),
    )
    assert not lake.root.exists()


def through(proxy: Proxy, settings: Settings, make_settings: MakeSettings) -> Settings:
    """The settings with the bucket behind the proxy."""
    path = settings.s3_credentials()[0].split("/", 3)[3]
    return make_settings(s3_endpoint=f"{proxy.url}/{path}")


@pytest.mark.parametrize("name", ["events/../../escaped.ndjson.gz", "events/a\\..\\b.ndjson.gz"])
def test_a_name_that_leads_out_of_the_lake_is_refused(
    s3: S3Client, lake: Lake, settings: Settings, make_settings: MakeSettings, proxy: Proxy, name: str
) -> None:
    """HTTP clients straighten such paths, so the listing is changed on its way."""
    plain = "events/plain.ndjson.gz"
    put(s3, settings, {plain: gzip.compress(GOOD)})

    def rename(call: Call, forward: Forward) -> Answer:
        answer = forward(call)
        return replace(answer, body=answer.body.replace(quote(plain, "").encode(), quote(name, "").encode()))

    proxy.rule = rename
    assert pull(lake, through(proxy, settings, make_settings)).damaged == (
        f"{name!r}: the name leads out of the lake; remove it from the bucket",
    )
    assert not lake.root.exists()


def test_an_object_that_fails_on_its_way_is_tried_again(
    s3: S3Client,
    lake: Lake,
    settings: Settings,
    make_settings: MakeSettings,
    proxy: Proxy,
    objects: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    put(s3, settings, objects)
    failed: set[str] = set()

    def fail_each_once(call: Call, forward: Forward) -> Answer | None:
        if call.path in failed:
            return forward(call)
        failed.add(call.path)
        return None if len(failed) % 2 else Answer(status=503)

    proxy.rule = fail_each_once
    assert pull(lake, through(proxy, settings, make_settings)).objects == 3
    assert files_of(lake) == objects


def test_a_bucket_that_is_not_there_is_one_error(edge: object, lake: Lake, make_settings: MakeSettings) -> None:
    with pytest.raises(PullError, match=r"^bucket no-such-bucket: .*; check USHER_S3_ENDPOINT and the credentials$"):
        pull(lake, make_settings(bucket="no-such-bucket"))


def test_an_endpoint_that_does_not_answer_is_one_error(
    lake: Lake, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    with pytest.raises(PullError) as caught:
        pull(lake, make_settings(s3_endpoint="http://127.0.0.1:9"))
    assert "Could not connect to the endpoint URL" in str(caught.value)
    assert str(caught.value).endswith("; check USHER_S3_ENDPOINT and the credentials")


def test_an_endpoint_that_is_no_url_is_named(lake: Lake, make_settings: MakeSettings) -> None:
    with pytest.raises(SettingsError, match="^USHER_S3_ENDPOINT: Invalid endpoint: nowhere$"):
        pull(lake, make_settings(s3_endpoint="nowhere"))


def test_without_credentials_the_missing_variables_are_named(tmp_path: Path, lake: Lake) -> None:
    settings = Settings(_env_file=None, s3_access_key_id="id")  # type: ignore[call-arg]
    with pytest.raises(SettingsError, match="^USHER_S3_ENDPOINT, USHER_S3_SECRET_ACCESS_KEY not set: "):
        pull(lake, settings)
