from __future__ import annotations

import pytest

from shared.devices import DEVICES, device_of


@pytest.mark.parametrize(
    ("user_agent", "device"),
    [
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148", "mobile"),
        ("Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/130.0 Mobile Safari/537.36", "mobile"),
        ("Mozilla/5.0 (Linux; Android 14; SM-X710) AppleWebKit/537.36 Chrome/130.0 Safari/537.36", "tablet"),
        ("Mozilla/5.0 (iPad; CPU OS 16_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148", "tablet"),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36", "desktop"),
        ("Opera/9.80 (S60; SymbOS; Opera Mobi/23.348; U; en)", "mobile"),
        ("curl/8.7.1", "desktop"),
        ("", "desktop"),
    ],
)
def test_the_device_is_what_the_user_agent_claims(user_agent: str, device: str) -> None:
    assert device_of(user_agent) == device
    assert device in DEVICES
