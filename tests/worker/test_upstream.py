from __future__ import annotations

import pytest

from worker.upstream import is_rewritable


@pytest.mark.parametrize(
    "content_type",
    [
        "text/html",
        "Text/HTML",
        "text/html;charset=utf-8",
        "text/html; charset=UTF-8",
        'text/html; charset="utf-8"',
        "text/html; boundary=x; Charset = utf8",
        "text/html;",
        "text/html; charset=us-ascii",
        "text/html; charset=iso-8859-1",
        "text/html; charset=ISO-8859-15",
        "text/html; charset=windows-1252",
    ],
)
def test_html_in_an_ascii_compatible_charset_can_be_rewritten(content_type: str) -> None:
    assert is_rewritable(200, content_type, None)


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/xhtml+xml",
        "text/html+x",
        "application/json; charset=utf-8",
        "text/html; charset=utf-16",
        "text/html; charset=utf-16le",
        "text/html; charset=shift_jis",
        "text/html; charset=iso-2022-jp",
        "text/html; charset=gb18030",
        "text/html; charset=nonsense",
    ],
)
def test_what_is_no_html_or_of_another_charset_passes_as_it_is(content_type: str | None) -> None:
    assert not is_rewritable(200, content_type, None)


@pytest.mark.parametrize("encoding", [None, "", "identity", "gzip", "br", " GZIP "])
def test_encodings_the_runtime_decodes_can_be_rewritten(encoding: str | None) -> None:
    assert is_rewritable(200, "text/html", encoding)


@pytest.mark.parametrize("encoding", ["zstd", "deflate", "gzip, br", "x-gzip", "compress"])
def test_other_encodings_pass_as_they_are(encoding: str) -> None:
    assert not is_rewritable(200, "text/html", encoding)


@pytest.mark.parametrize("status", [100, 201, 204, 206, 301, 302, 304, 404, 500, 503])
def test_only_a_200_is_rewritten(status: int) -> None:
    assert not is_rewritable(status, "text/html", None)
