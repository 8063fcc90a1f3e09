"""What the documentation says of events: made from the definition, true of the Worker, and its examples work."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from typer.testing import CliRunner

from origin.cli import app
from origin.config import load_config
from origin.event_api import CODES, MENDED, PATH, REFUSALS, RETRIED, describe_api, when_again
from origin.event_config import make_plan
from scripts.event_docs import DOCS, describe_kind, fill_tables, make_documents
from shared.errors import Code
from shared.events import BROWSER, EVENT_TYPES, MAX_EVENT_BYTES, PROPERTY_KINDS, SERVER, STORED, read_event
from shared.parse import MAX_NESTING
from tests.sending import PLAN, given
from worker import intake
from worker.admission import ALLOWANCES
from worker.cookies import COOKIE
from worker.crossing import Crossing
from worker.receipts import Receipts

ROOT = Path(__file__).resolve().parents[1]
TEXT = (DOCS / "events.md").read_text(encoding="utf-8")


def example_of(language: str) -> str:
    [found] = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    return str(found)


@pytest.mark.parametrize("path", make_documents(), ids=lambda path: path.name)
def test_what_is_derived_is_in_step_with_the_definition(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == make_documents()[path], "run python -m scripts.event_docs"


def test_the_command_prints_what_is_published(tmp_path: Path) -> None:
    published = {
        "--events": "events.schema.json",
        "--events --stored": "events.stored.schema.json",
        "--openapi": "openapi.json",
    }
    for flags, name in published.items():
        printed = CliRunner().invoke(app, ["schema", *flags.split()])
        assert (printed.exit_code, printed.stderr) == (0, "")
        assert printed.stdout == (DOCS / name).read_text(encoding="utf-8")


def test_the_command_narrows_the_schema_to_the_plan_of_a_site(tmp_path: Path) -> None:
    site = '[site]\nid = "shop"\n[goals.signup]\n[touchpoints.hero]\ngoal = "signup"\ndefault = "a"\npages = ["/"]\n'
    path = tmp_path / "usher.toml"
    path.write_text(site + 'variants = [{ name = "a" }, { name = "b", html = "" }]\n', encoding="utf-8")
    for flag in ("--events", "--openapi"):
        printed = CliRunner().invoke(app, ["schema", flag, "--plan", str(path)])
        assert '"const": "signup"' in printed.stdout
    path.write_text("", encoding="utf-8")
    refused = CliRunner().invoke(app, ["schema", "--events", "--plan", str(path)])
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "usher.toml: site: is missing" in refused.stderr


@pytest.mark.parametrize("flags", ["--stored", "--stored --openapi", "--stored --events --plan usher.toml"])
def test_what_is_stored_has_one_schema_whatever_the_plan(flags: str) -> None:
    refused = CliRunner().invoke(app, ["schema", *flags.split()])
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "--stored" in refused.stderr and "--plan" in refused.stderr


def test_a_table_is_made_anew_between_its_markers_only() -> None:
    text = "before\n<!-- begin: goals -->\nold\n<!-- end -->\nafter\n"
    filled = fill_tables(text)
    assert filled.startswith("before\n<!-- begin: goals -->\n`search`, ")
    assert filled.endswith("\n<!-- end -->\nafter\n")
    assert fill_tables(filled) == filled


def test_every_type_field_and_property_type_is_documented() -> None:
    for each in EVENT_TYPES.values():
        assert f"`{each.name}`" in TEXT
        for field in each.fields:
            assert f"`{field.name}`" in TEXT
            assert describe_kind(field.kind)
    for name in PROPERTY_KINDS:
        assert f"| `{name}` |" in TEXT


@pytest.mark.parametrize("plan", [None, PLAN])
def test_the_api_is_described_as_openapi_demands(plan: Any) -> None:
    described = describe_api(plan)
    assert described["openapi"] == "3.1.0"
    assert [str(error) for error in OpenAPIV31SpecValidator(described).iter_errors()] == []
    assert list(described["paths"]) == [PATH] == [intake.PATH]
    assert described["components"]["securitySchemes"]["cookie"]["name"] == COOKIE


def test_what_the_edge_logs_has_the_fields_of_the_definition() -> None:
    crossing = Crossing(visitor="v", session_ms=1, page_view="p", at_ms=2, unit_before="a", unit="b")
    for logged in (crossing.to_dict(), Receipts("i").issue(1, 0).to_dict(3)):
        fields = EVENT_TYPES[str(logged["type"])].fields
        assert list(logged) == [field.name for field in (*STORED, *fields)]


def test_every_reference_of_the_api_leads_somewhere() -> None:
    described = describe_api()
    for found in set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(described))):
        assert found in described["components"]["schemas"]


def test_every_reason_of_quarantine_is_documented() -> None:
    assert tuple(CODES) == get_args(Code)


def test_every_refusal_of_the_worker_is_documented_with_its_status() -> None:
    source = "\n".join([(ROOT / "worker" / f"{name}.py").read_text() for name in ("admission", "intake")])
    made = re.findall(r'Refusal\(\s*status=(\d+),\s*code="(\w+)"', source)
    made += [("429", code) for code in re.findall(r'"((?:visitor|address)_limit)"', source)]
    documented = {(str(status), code) for status, codes in REFUSALS.items() for code in codes}
    assert set(made) == documented
    assert set(RETRIED) == {int(status) for status, _ in documented if int(status) in (429, 503)}


def test_done_with_are_the_refusals_after_which_sending_again_is_of_no_use() -> None:
    """What makes a refusal final at the edge, and what the table says of it, is the same."""
    calls = [
        {
            keyword.arg: ast.literal_eval(keyword.value)
            for keyword in node.keywords
            if isinstance(keyword.value, ast.Constant)
        }
        for name in ("admission", "intake")
        for node in ast.walk(ast.parse((ROOT / "worker" / f"{name}.py").read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Refusal"
    ]
    final = {call["code"] for call in calls if call.get("is_final")}
    documented = {(status, code) for status, codes in REFUSALS.items() for code in codes}
    assert final == {code for status, code in documented if when_again(status, code) == "no"}
    assert set(MENDED) <= {code for _, code in documented}
    assert "| 400 | `cut_short` | The body ended before its `Content-Length`. | yes |" in TEXT


def test_the_limits_are_those_of_the_worker() -> None:
    browser, server = ALLOWANCES[BROWSER], ALLOWANCES[SERVER]
    assert f"{browser.bytes // 1024} KB from browsers, {server.bytes // 1024} KB from servers" in TEXT
    assert f"{browser.events} events from browsers, {server.events:,} from servers" in TEXT
    assert f"deeper than {MAX_NESTING} levels" in TEXT
    assert f"An event takes {MAX_EVENT_BYTES // 1024} KB at most" in TEXT


def test_the_example_of_a_server_is_accepted() -> None:
    [body] = re.findall(r"-d '(.*?)'", example_of("sh"), re.DOTALL)
    batch = json.loads(body)
    [event] = batch["events"]
    assert read_event(event, "", given(SERVER, sent_ms=batch["sent_ms"]))["order" if "order" in event else "value"]


def test_the_example_of_a_plan_can_be_loaded_and_is_what_the_examples_track(tmp_path: Path) -> None:
    site = '[site]\nid = "shop"\n[touchpoints.hero]\ngoal = "order"\ndefault = "a"\npages = ["/"]\n'
    variants = 'variants = [{ name = "a" }, { name = "b", html = "" }]\n'
    (tmp_path / "usher.toml").write_text(site + variants + example_of("toml"), encoding="utf-8")
    plan = make_plan(load_config(tmp_path / "usher.toml"))
    assert tomllib.loads(example_of("toml"))["goals"]["order"]["event"] == "purchase"
    assert plan.goals == ()
    tracked = {"type": "custom", "event_id": "e", "created_ms": given().sent_ms, "name": "trial_begun"}
    tracked["properties"] = {"plan": "team", "seats": 12}
    assert 'usher.track("trial_begun", { plan: "team", seats: 12 })' in TEXT
    assert read_event(tracked, "", given(plan=plan))["properties"] == tracked["properties"]


def test_the_example_of_verdicts_is_of_the_form_that_is_described() -> None:
    verdicts = json.loads(example_of("json"))
    assert verdicts.keys() == describe_api()["components"]["schemas"]["Verdicts"]["properties"].keys()
    assert {each["code"] for each in verdicts["quarantined"]} <= set(get_args(Code))


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#]+)\)", TEXT))))
def test_every_link_leads_somewhere(link: str) -> None:
    assert (DOCS / link).exists()
