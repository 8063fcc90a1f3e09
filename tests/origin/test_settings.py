"""Settings: from the environment or the file of a running local edge, and what is said where they are missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from origin.errors import SettingsError
from origin.settings import LOCAL_FILE, Settings, read_settings


def test_without_anything_set_only_the_defaults_are_known() -> None:
    settings = read_settings()
    assert (settings.lake, settings.bucket) == (Path(".usher/lake"), "usher-lake")
    given = {name for name in Settings.model_fields if getattr(settings, name) is not None}
    assert given == {"lake", "bucket"}


def test_the_environment_wins_over_the_file_of_a_local_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    LOCAL_FILE.parent.mkdir()
    LOCAL_FILE.write_text("USHER_KV_URL=http://file/kv\nUSHER_BUCKET=of-the-file\nUSHER_NOT_OURS=1\n")
    monkeypatch.setenv("USHER_BUCKET", "of-the-environment")
    settings = read_settings()
    assert settings.kv_namespace_url() == "http://file/kv"
    assert settings.bucket == "of-the-environment"


@pytest.mark.parametrize("name", ["ACCOUNT", "NAMESPACE", "API_TOKEN", "S3_ENDPOINT", "KV_URL"])
def test_the_file_of_a_local_edge_does_not_mix_with_another_place(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    LOCAL_FILE.parent.mkdir()
    LOCAL_FILE.write_text("\n".join(f"USHER_{field.upper()}=of-the-file" for field in Settings.model_fields))
    monkeypatch.setenv(f"USHER_{name}", "of-the-environment")
    settings = read_settings()
    assert "of-the-file" not in settings.model_dump_json()
    assert settings.keys is None
    monkeypatch.setenv(f"USHER_{name}", "")
    assert read_settings().bucket == "of-the-file"


def test_cloudflares_own_url_is_made_of_account_and_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACCOUNT", "NAMESPACE", "API_TOKEN"):
        monkeypatch.setenv(f"USHER_{name}", name.lower())
    assert read_settings().kv_namespace_url() == (
        "https://api.cloudflare.com/client/v4/accounts/account/storage/kv/namespaces/namespace"
    )


REMEDY = "not set: set them in the environment, or start a local edge with scripts/demo, which writes .usher/local.env"


def test_every_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings().kv_namespace_url()
    assert str(caught.value) == f"USHER_ACCOUNT, USHER_NAMESPACE, USHER_API_TOKEN {REMEDY}"
    monkeypatch.setenv("USHER_S3_ACCESS_KEY_ID", "id")
    with pytest.raises(SettingsError) as caught:
        read_settings().s3_credentials()
    assert str(caught.value) == f"USHER_S3_ENDPOINT, USHER_S3_SECRET_ACCESS_KEY {REMEDY}"


def test_a_variable_that_is_set_to_nothing_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KV_URL", "S3_ENDPOINT", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY", "LAKE", "KEYS"):
        monkeypatch.setenv(f"USHER_{name}", "")
    settings = read_settings()
    assert (settings.lake, settings.keys) == (Path(".usher/lake"), None)
    with pytest.raises(SettingsError, match="^USHER_ACCOUNT, "):
        settings.kv_namespace_url()
    with pytest.raises(SettingsError, match="^USHER_S3_ENDPOINT, USHER_S3_ACCESS_KEY_ID, "):
        settings.s3_credentials()


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API_TOKEN", "S3_SECRET_ACCESS_KEY", "KEYS"):
        monkeypatch.setenv(f"USHER_{name}", "hush-hush")
    settings = read_settings()
    assert "hush" not in repr(settings) + str(settings) + settings.model_dump_json()
    assert settings.api_token is not None and settings.api_token.get_secret_value() == "hush-hush"


def test_every_setting_says_what_it_is() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
