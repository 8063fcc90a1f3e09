"""What GrowthBook's SDK and edge app are told: the same touchpoints, as experiments in their own format."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from scripts.benchmarks.sites import Site

# Under these keys the Workers `growthbook-sdk.js` and `growthbook-edge.js` find their payloads in KV; the second is
# the edge app's own.
SDK_KEY: Final = "growthbook"
EDGE_KEY: Final = "gb_payload"
# The cookie of the edge app, which its browser script sets.
COOKIE: Final = "gbuuid=0b7e8f1c-5d0a-4c5e-9c39-0c1d2e3f4a5b"
# The settings of the edge app's own example, but for addresses; the pages come by the Worker's outbound service.
EDGE_VARIABLES: Final = {
    "NODE_ENV": "production",
    "PROXY_TARGET": "http://pages.example/",
    "GROWTHBOOK_API_HOST": "http://pages.example",
    "GROWTHBOOK_CLIENT_KEY": "sdk-bench",
    "RUN_VISUAL_EDITOR_EXPERIMENTS": "edge",
    "RUN_URL_REDIRECT_EXPERIMENTS": "browser",
    "ENABLE_STICKY_BUCKETING": "true",
}


def sdk_variables(site: Site) -> dict[str, str]:
    """The settings of `growthbook-sdk.js`: the features of each page, which are named as its touchpoints."""
    return {"FEATURES": json.dumps({path: site.names_on(path) for path in site.pages})}


def payloads(site: Site) -> dict[str, str]:
    """The payloads of a site for KV: features for the SDK, experiments of the visual editor for the edge app.

    Each touchpoint is an experiment of its variants in equal shares, hashed by the visitor's id.
    """
    names = {name for path in site.pages for name in site.names_on(path)}
    features = {name: _feature(name, site.variants(name)) for name in sorted(names)}
    experiments = [
        _visual_experiment(name, site.variants(name), site.config.touchpoints[name].pages) for name in sorted(names)
    ]
    return {
        SDK_KEY: json.dumps({"features": features}),
        EDGE_KEY: json.dumps({"features": {}, "experiments": experiments}),
    }


def _experiment(name: str, variants: dict[str, str]) -> dict[str, object]:
    return {
        "key": name,
        "seed": name,
        "phase": "0",
        "hashAttribute": "id",
        "hashVersion": 2,
        "coverage": 1,
        "weights": [1 / len(variants)] * len(variants),
        "meta": [{"key": variant, "name": variant} for variant in variants],
    }


def _feature(name: str, variants: dict[str, str]) -> dict[str, object]:
    html = list(variants.values())
    return {"defaultValue": html[-1], "rules": [{**_experiment(name, variants), "variations": html}]}


def _visual_experiment(name: str, variants: dict[str, str], pages: Iterable[str]) -> dict[str, object]:
    return {
        **_experiment(name, variants),
        "status": "running",
        "changeId": f"change-{name}",
        "manual": False,
        "urlPatterns": [{"include": True, "type": "simple", "pattern": page} for page in pages],
        "variations": [{"domMutations": [_set_html(name, html)]} for html in variants.values()],
    }


def _set_html(name: str, html: str) -> dict[str, str]:
    return {"selector": f'[data-usher="{name}"]', "action": "set", "attribute": "html", "value": html}
