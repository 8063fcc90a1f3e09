"""Every exception of the origin.

OriginError
    ConfigError         `usher.toml`, or a catalogue it names, is not as it must be; what to change stands in it
    InvalidCatalogue    a catalogue file cannot be read; reaches the caller of `load_config` as a ConfigError
    SettingsError       an environment variable is missing or malformed
    LakeError           the lake cannot be read or written, or is in use
    IdentityError       an identity graph is not usable, or an id is not known; nothing was changed
    ImportLogError      a logged file or its mapping is not usable; nothing was imported
    PullError           the bucket cannot be read
    KvError             Workers KV did not take or give what it was asked
        KvValueError    it holds something else than text under a key
    PublishError        what should be published is not consistent; the live snapshot stays
"""

from __future__ import annotations

from collections.abc import Iterable


class OriginError(Exception):
    """Base of all errors raised by the origin."""


class ConfigError(OriginError):
    """The configuration is not valid.

    `problems` holds all that is wrong with it, one line each: file, place, what is wrong, and what to write instead.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems: tuple[str, ...] = tuple(problems)
        super().__init__("\n".join(self.problems))


class SettingsError(OriginError):
    """An environment variable is missing or malformed; the message names it."""


class LakeError(OriginError):
    """The lake cannot be read or written, or another command is writing to it."""


class IdentityError(OriginError):
    """An identity graph is not usable, or nothing is known of an id. Nothing was changed."""


class ImportLogError(OriginError):
    """A logged file or its mapping is not usable. Nothing was imported."""


class PullError(OriginError):
    """The bucket cannot be read."""


class KvError(OriginError):
    """Workers KV did not take or give what it was asked, after retries."""


class KvValueError(KvError):
    """Workers KV holds something else than text under a key."""


class PublishError(OriginError):
    """What should be published is not consistent. What was live stays live."""


class InvalidCatalogue(OriginError):
    """A catalogue file is missing or is no CSV of the required form; the message says what to do."""
