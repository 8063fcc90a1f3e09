"""Endpoints and secrets: from the environment, or else from `.usher/local.env`, which a running local edge writes."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from origin.errors import SettingsError
from shared.identity import read_user_key

LOCAL_FILE = Path(".usher/local.env")
PLACES = ("USHER_ACCOUNT", "USHER_NAMESPACE", "USHER_API_TOKEN", "USHER_S3_ENDPOINT", "USHER_KV_URL")
CLOUDFLARE_API = "https://api.cloudflare.com/client/v4"


class Settings(BaseSettings):
    """What the origin must know to reach Cloudflare; every field is the environment variable `USHER_<FIELD>`."""

    model_config = SettingsConfigDict(
        env_prefix="USHER_", env_file=LOCAL_FILE, env_ignore_empty=True, extra="ignore", frozen=True
    )

    lake: Path = Field(default=Path(".usher/lake"), description="the folder of the lake")
    account: str | None = Field(default=None, description="Cloudflare account id")
    namespace: str | None = Field(default=None, description="id of the KV namespace")
    api_token: SecretStr | None = Field(default=None, description="Cloudflare API token with KV write permission")
    kv_url: str | None = Field(default=None, description="URL of the KV namespace, where it is not Cloudflare's own")
    s3_endpoint: str | None = Field(default=None, description="R2's S3 endpoint")
    s3_access_key_id: str | None = Field(default=None, description="R2 access key id")
    s3_secret_access_key: SecretStr | None = Field(default=None, description="R2 secret access key")
    bucket: str = Field(default="usher-lake", description="name of the R2 bucket")
    keys: SecretStr | None = Field(default=None, description="the Worker's keys, id:secret,…: signs preview links")
    user_key: SecretStr | None = Field(default=None, description="the Worker's key for hashes of user ids")

    def kv_namespace_url(self) -> str:
        """The URL of the KV namespace. Raises SettingsError naming the variables that are missing."""
        if self.kv_url is not None:
            return self.kv_url
        self._require("account", "namespace", "api_token")
        return f"{CLOUDFLARE_API}/accounts/{self.account}/storage/kv/namespaces/{self.namespace}"

    def s3_credentials(self) -> tuple[str, str, str]:
        """Endpoint, key id and secret of the bucket. Raises SettingsError naming the variables that are missing."""
        self._require("s3_endpoint", "s3_access_key_id", "s3_secret_access_key")
        assert self.s3_endpoint and self.s3_access_key_id and self.s3_secret_access_key
        return self.s3_endpoint, self.s3_access_key_id, self.s3_secret_access_key.get_secret_value()

    def user_hash_key(self) -> bytes:
        """The key of the hashes of user ids. Raises SettingsError where it is missing or too short."""
        self._require("user_key")
        assert self.user_key is not None
        try:
            return read_user_key(self.user_key.get_secret_value())
        except ValueError as error:
            raise SettingsError(f"USHER_USER_KEY: {error}; give the very key that the Worker has") from error

    def _require(self, *names: str) -> None:
        missing = [f"USHER_{name.upper()}" for name in names if getattr(self, name) is None]
        if missing:
            raise SettingsError(
                f"{', '.join(missing)} not set: set them in the environment, or start a local edge with scripts/demo, "
                f"which writes {LOCAL_FILE}"
            )


def read_settings() -> Settings:
    """Read the settings; the file only where the environment names no place to publish to or to pull from.

    Otherwise production and a local edge that is running beside would mix. Raises SettingsError for values that are not
    of their type.
    """
    try:
        if any(os.environ.get(name) for name in PLACES):
            return Settings(_env_file=None)  # type: ignore[call-arg]
        return Settings()
    except ValidationError as error:
        problems = "; ".join(f"USHER_{str(each['loc'][0]).upper()}: {each['msg']}" for each in error.errors())
        raise SettingsError(problems) from error
