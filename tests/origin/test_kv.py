"""Workers KV: what is written is there, and what fails is tried again and named."""

from __future__ import annotations

import pytest

from origin import kv as module
from origin.errors import KvError
from origin.kv import ATTEMPTS, KvClient
from tests.origin.proxy import Answer, Proxy, fail_first, refuse_keys

KEYS = ["current", "snapshot:20261122T040000Z-ab12", "profile:ä/ö?ü#%20&=+", "😀 key", "a" * 400]


@pytest.mark.parametrize("value", ["x", '{"a": "ß\\n"}\n\r\n\ttab', "😀" * 1000, "\u2028 \x00"])
def test_what_is_put_is_got(kv: KvClient, value: str) -> None:
    assert kv.put(dict.fromkeys(KEYS, value)) == len(KEYS) * len(value.encode())
    assert [kv.get(key) for key in KEYS] == [value] * len(KEYS)


def test_a_missing_key_is_none(kv: KvClient) -> None:
    assert kv.get("nobody:wrote this") is None


def test_nothing_to_put_sends_nothing(faulty_kv: KvClient, proxy: Proxy) -> None:
    assert faulty_kv.put({}) == 0
    assert proxy.calls == []


def test_keys_that_were_not_taken_are_put_again(
    faulty_kv: KvClient, kv: KvClient, proxy: Proxy, waits: list[float]
) -> None:
    pairs = {f"key:{i}": f"value {i}" for i in range(5)}
    proxy.rule = refuse_keys(["key:1", "key:4"], 2)
    assert faulty_kv.put(pairs) == 35
    assert [call.keys for call in proxy.calls] == [list(pairs), ["key:1", "key:4"], ["key:1", "key:4"]]
    assert waits == [0.5, 1.0]
    assert {key: kv.get(key) for key in pairs} == pairs


def test_keys_that_are_never_taken_are_named(
    faulty_kv: KvClient, kv: KvClient, proxy: Proxy, waits: list[float]
) -> None:
    pairs = {f"key:{i}": "v" for i in range(8)}
    proxy.rule = refuse_keys([f"key:{i}" for i in range(1, 8)], 99)
    with pytest.raises(KvError) as caught:
        faulty_kv.put(pairs)
    assert str(caught.value) == ("KV did not take 7 of 8 keys after 5 attempts: key:1, key:2, key:3, key:4, key:5")
    assert len(proxy.calls) == ATTEMPTS
    assert waits == [0.5, 1.0, 2.0, 4.0]
    assert kv.get("key:0") == "v"


@pytest.mark.parametrize(
    "answer",
    [Answer(status=status) for status in (408, 429, 500, 502, 503, 504)]
    + [None, Answer(status=200, headers=(("Content-Encoding", "gzip"),), body=b"no gzip")],
)
def test_a_failure_that_passes_is_tried_again(
    faulty_kv: KvClient, kv: KvClient, proxy: Proxy, waits: list[float], answer: Answer | None
) -> None:
    proxy.rule = fail_first(4, answer)
    faulty_kv.put({"key": "value"})
    proxy.rule = fail_first(4, answer)
    assert faulty_kv.get("key") == kv.get("key") == "value"
    assert waits == [1.0, 2.0, 4.0, 8.0] * 2


def test_a_failure_that_stays_is_an_error_after_five_attempts(
    faulty_kv: KvClient, proxy: Proxy, waits: list[float]
) -> None:
    proxy.rule = fail_first(99, Answer(status=503))
    with pytest.raises(KvError) as caught:
        faulty_kv.get("a:b")
    assert str(caught.value) == ("KV did not answer GET values/a%3Ab after 5 attempts (HTTP 503); check USHER_KV_URL")
    assert len(proxy.calls) == ATTEMPTS
    assert len(waits) == ATTEMPTS - 1


def test_a_server_that_is_not_there_is_an_error(waits: list[float]) -> None:
    client = KvClient("http://127.0.0.1:9/kv", wait=waits.append)
    with pytest.raises(KvError, match=r"^no local edge answers at http://127\.0\.0\.1:9/: start scripts/demo; if one "):
        client.put({"key": "value"})
    client.close()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413])
def test_a_refusal_is_an_error_at_once(faulty_kv: KvClient, proxy: Proxy, waits: list[float], status: int) -> None:
    proxy.rule = fail_first(99, Answer(status=status, body=b"because"))
    with pytest.raises(KvError, match=f"^KV refused PUT bulk with HTTP {status}: because$"):
        faulty_kv.put({"key": "value"})
    assert waits == []


def test_a_key_that_kv_does_not_allow_is_an_error(kv: KvClient) -> None:
    with pytest.raises(KvError, match=r"^KV refused PUT bulk with HTTP 400: .*512 characters"):
        kv.put({"k" * 600: "value"})


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"success": true}'])
def test_an_answer_that_is_not_the_apis_is_an_error(faulty_kv: KvClient, proxy: Proxy, body: bytes) -> None:
    proxy.rule = fail_first(1, Answer(status=200, body=body))
    with pytest.raises(KvError, match="^KV answered a bulk write with something else: "):
        faulty_kv.put({"key": "value"})


def test_a_value_that_is_no_text_is_an_error(faulty_kv: KvClient, proxy: Proxy) -> None:
    proxy.rule = fail_first(1, Answer(status=200, body=b"\xff"))
    with pytest.raises(KvError, match="^KV holds something else than text under a:b$"):
        faulty_kv.get("a:b")


def test_many_pairs_go_in_several_writes(
    faulty_kv: KvClient, kv: KvClient, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PAIRS", 10)
    pairs = {f"many:{i}": str(i) for i in range(25)}
    faulty_kv.put(pairs)
    assert [len(call.keys) for call in proxy.calls] == [10, 10, 5]
    assert {key: kv.get(key) for key in pairs} == pairs


def test_no_write_is_larger_than_the_limit(faulty_kv: KvClient, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 1_000)
    pairs = {f"large:{i}": '"ä"\n' * (i % 30) for i in range(60)}
    faulty_kv.put(pairs)
    assert len(proxy.calls) > 5
    assert max(len(call.body) for call in proxy.calls) <= 1_000
    assert [key for call in proxy.calls for key in call.keys] == list(pairs)


def test_a_value_over_the_limit_goes_alone(faulty_kv: KvClient, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 100)
    faulty_kv.put({"small": "s", "large": "l" * 500, "last": "s"})
    assert [call.keys for call in proxy.calls] == [["small"], ["large"], ["last"]]


def test_chunks_before_a_failing_one_are_written(
    faulty_kv: KvClient, kv: KvClient, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PAIRS", 2)
    proxy.rule = refuse_keys(["c"], 99)
    with pytest.raises(KvError, match="^KV did not take 1 of 2 keys after 5 attempts: c$"):
        faulty_kv.put({"a": "1", "b": "2", "c": "3", "d": "4"})
    assert [kv.get(key) for key in "abcd"] == ["1", "2", None, "4"]


def test_the_token_is_sent_and_never_shown(proxy: Proxy) -> None:
    client = KvClient(f"{proxy.url}/kv", "a-secret")
    proxy.rule = fail_first(1, Answer(status=403, body=b"forbidden"))
    with pytest.raises(KvError) as caught:
        client.get("key")
    client.close()
    assert dict(proxy.calls[0].headers)["authorization"] == "Bearer a-secret"
    assert "a-secret" not in str(caught.value)
