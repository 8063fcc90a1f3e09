"""The command line, `usher`: thin commands over the origin's functions."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from origin.errors import OriginError
from origin.events_cli import events
from origin.terminal import locked_lake as _lake
from origin.terminal import out
from origin.terminal import print_errors as _print_errors
from origin.terminal import reported as _reported
from origin.terminal import settings_of_environment as _settings
from origin.terminal import show_time as _time

if TYPE_CHECKING:
    from origin.config import Config
    from origin.kv import KvClient
    from origin.lake import Lake
    from origin.settings import Settings
    from origin.train import Model

app = typer.Typer(
    name="usher", help="Personalisation decided at the edge.", no_args_is_help=True, add_completion=False,
    pretty_exceptions_enable=False,
)  # fmt: skip
identity = typer.Typer(
    help="Who belongs together: show it, import what another system knows, or take that back.", no_args_is_help=True
)
app.add_typer(identity, name="identity")
app.add_typer(events, name="events")

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="the configuration", envvar="USHER_CONFIG")]
AsOfOption = Annotated[
    str | None, typer.Option("--as-of", help="train as of this moment (ISO 8601), instead of now", metavar="TIME")
]
CONFIG = Path("usher.toml")


@app.command()
def schema(
    events: Annotated[bool, typer.Option("--events", help="of the events that are sent, instead")] = False,
    stored: Annotated[bool, typer.Option("--stored", help="with --events: as they are stored")] = False,
    openapi: Annotated[bool, typer.Option("--openapi", help="the event API as OpenAPI 3.1, instead")] = False,
    plan: Annotated[
        Path | None, typer.Option("--plan", help="with the goals, events and questions of this usher.toml")
    ] = None,
) -> None:
    """Print the JSON Schema of usher.toml, for editors, or that of events, for a site's developers."""
    from origin.config import config_json_schema
    from origin.event_api import describe_api
    from origin.event_config import make_plan
    from origin.event_schema import event_json_schema
    from origin.stored_schema import stored_json_schema

    if stored and (openapi or not events or plan is not None):
        problem = "goes with --events alone; leave out --openapi and --plan: what is stored may be of an earlier plan"
        raise typer.BadParameter(problem, param_hint="--stored")
    with _reported():
        planned = None if plan is None else make_plan(_load(plan))
        if openapi:
            described = describe_api(planned)
        elif stored:
            described = stored_json_schema()
        else:
            described = event_json_schema(planned) if events else config_json_schema()
    print(json.dumps(described, indent=2, ensure_ascii=False))  # noqa: T201 - plain JSON on purpose


@app.command()
def check(config: ConfigOption = CONFIG) -> None:
    """Check usher.toml, and that wrangler.toml sends its pages to the Worker."""
    from origin.pages import check_pages

    with _reported():
        loaded = _load(config)
        check_pages(loaded, config.parent / "wrangler.toml")
        for name, touchpoint in loaded.touchpoints.items():
            count = len(touchpoint.expanded_variants)
            pages = escape(", ".join(touchpoint.pages))
            out.print(f"[green]ok[/] {name}: {count} variants on {pages}, goal {touchpoint.goal}")


@app.command("import-log")
def import_log(
    file: Annotated[Path, typer.Argument(help="CSV, TSV (also .gz) or Parquet")],
    mapping: Annotated[Path, typer.Option("--mapping", "-m", help="TOML file: which column holds what")],
) -> None:
    """Import a logged bandit file as decisions with rewards."""
    from origin import import_log as importing

    with _reported(), _lake(_settings()) as lake, out.status(f"importing {escape(str(file))}"):
        done = importing.import_log(file, importing.read_mapping(mapping), lake)
    out.print(
        f"[green]imported[/] {done.log}: {done.decisions:,} decisions on {escape(done.touchpoint)}, "
        f"{done.variants} variants, {done.rewards:,} rewards, {_time(done.first_ms)} to {_time(done.last_ms)}"
    )


@app.command()
def pull() -> None:
    """Bring new events from R2 into the lake."""
    with _reported():
        settings = _settings()
        with _lake(settings) as lake:
            is_whole = _pull(lake, settings)
    if not is_whole:
        raise typer.Exit(1)


@app.command()
def compact(
    remove: Annotated[
        bool, typer.Option("--remove", help="then remove the lake's own copies of the objects; the bucket keeps its")
    ] = False,
) -> None:
    """Turn the events that were pulled into Parquet by day, each event once."""
    with _reported(), _lake(_settings()) as lake:
        _compact(lake, remove=remove)


@app.command()
def stitch(config: ConfigOption = CONFIG) -> None:
    """Stitch visitors and users into persons, by what is new in the lake."""
    with _reported():
        loaded = _load(config)
        with _lake(_settings()) as lake:
            _stitch(loaded, lake)


@app.command()
def train(config: ConfigOption = CONFIG, as_of: AsOfOption = None) -> None:
    """Train posteriors on the lake."""
    with _reported():
        loaded = _load(config)
        with _lake(_settings()) as lake:
            _train(loaded, lake, _moment(as_of))


@app.command()
def publish(config: ConfigOption = CONFIG) -> None:
    """Publish the newest model with the configuration."""
    from origin.train import read_latest_model

    with _reported():
        loaded, settings = _load(config), _settings()
        with _lake(settings) as lake, _kv(settings) as client:
            _publish(loaded, read_latest_model(lake), lake, client)


@app.command()
def retrain(config: ConfigOption = CONFIG, as_of: AsOfOption = None) -> None:
    """Pull, compact, stitch, train, publish: what cron runs daily. Damaged objects are left out; the exit code is 1."""
    with _reported():
        loaded, settings = _load(config), _settings()
        with _lake(settings) as lake, _kv(settings) as client:
            is_whole = _pull(lake, settings)
            _compact(lake)
            _stitch(loaded, lake)
            model = _train(loaded, lake, _moment(as_of))
            _publish(loaded, model, lake, client)
    if not is_whole:
        raise typer.Exit(1)


@app.command()
def status() -> None:
    """Say what is live, since when, and from which data."""
    from origin.status import read_status

    with _reported(), _kv(_settings()) as client:
        found = read_status(client)
        if found is None:
            out.print("nothing is published: every page shows its own content; run [bold]usher retrain[/]")
            return
        out.print(
            f"live: [bold]{found.version}[/], since {_time(found.published_ms)}, confirmed {_time(found.confirmed_ms)}"
        )
        if found.off:
            _print_off(found.off)
        sources = ", ".join(f"{count:,} decisions from {escape(name)}" for name, count in found.sources.items())
        span = (
            f", {_time(found.first_ms)} to {_time(found.last_ms)}"
            if found.first_ms is not None and found.last_ms is not None
            else ""
        )
        out.print(f"trained as of {_time(found.as_of_ms)} on {sources or 'no decisions yet'}{span}")
        for name, (level, reason) in found.levels.items():
            out.print(f"{name} {_describe_level(level, reason)}")
        table = Table("touchpoint", "level", "likeliest variants")
        for row in found.cells:
            best = ", ".join(f"{escape(name)} {share:.1%}" for name, share in row.best)
            table.add_row(row.touchpoint, f"{row.level} {row.cell}".strip(), best)
        out.print(table)


Touchpoints = Annotated[
    list[str] | None, typer.Argument(metavar="[TOUCHPOINT]...", help="by name; left out: the whole site")
]


@app.command()
def off(touchpoints: Touchpoints = None) -> None:
    """The kill switch: show the pages' own content, within a minute or two, until usher on."""
    from origin.switch import switch_off

    with _reported(), _kv(_settings()) as client:
        _print_off(switch_off(client, touchpoints or ()).off)


@app.command()
def on(touchpoints: Touchpoints = None) -> None:
    """Personalise again what usher off has switched off."""
    from origin.switch import switch_on

    with _reported(), _kv(_settings()) as client:
        _print_off(switch_on(client, touchpoints or ()).off)


@app.command()
def preview(
    touchpoint: str,
    variant: str,
    config: ConfigOption = CONFIG,
    url: Annotated[str, typer.Option(help="the page to open")] = "/",
) -> None:
    """Print a link that shows one variant to whoever opens it; such views are left out of learning."""
    from origin.preview import preview_link

    with _reported():
        print(preview_link(_load(config), _settings(), url, touchpoint, variant))  # noqa: T201 - for copying


@app.command()
def replay() -> None:
    """Decide again what was logged, and fail where anything comes out otherwise."""
    from origin.explanation import print_replay
    from origin.replay import replay as decide_again

    with _reported(), _lake(_settings()) as lake, out.status("replaying"):
        done = decide_again(lake)
    print_replay(out, done)
    if not done.is_faithful:
        raise typer.Exit(1)


@app.command()
def explain(
    wanted: Annotated[str, typer.Argument(metavar="DECISION|VISITOR", help="an event id, a visitor or a unit")],
    last: Annotated[int, typer.Option(min=1, help="how many of a visitor's decisions, the newest")] = 5,
) -> None:
    """Print how a decision came about: inputs, posterior, probabilities before and after each constraint, the draw."""
    from origin.explain import derive, find_draw
    from origin.explanation import print_derivation, print_repeat
    from origin.logged import find_logged

    with _reported(), _lake(_settings()) as lake:
        found = find_logged(lake, wanted)
        if not found:
            raise OriginError(
                f"{wanted}: the lake holds no decision, visitor or unit of that id; usher pull brings new"
            )
        if len(found) > last:
            out.print(f"the newest {last:,} of {len(found):,} decisions; --last {len(found)} shows all")
        told: set[str] = set()
        for logged in found[-last:]:
            draw = find_draw(logged, found) or find_draw(logged, find_logged(lake, logged.unit))
            if draw is not logged:
                print_repeat(out, logged, draw)
            if draw is not None and draw.event_id not in told:
                told.add(draw.event_id)
                print_derivation(out, derive(draw, lake))


@identity.command("import")
def import_graph(file: Annotated[Path, typer.Argument(help="CSV with kind_1, id_1, kind_2, id_2")]) -> None:
    """Import an identity graph: pairs of visitors and users that another system knows to be one person."""
    from origin.identity.importing import import_graph as take

    with _reported():
        settings = _settings()
        key = settings.user_hash_key()
        with _lake(settings) as lake, out.status(f"importing {escape(str(file))}"):
            done = take(file, key, lake, _now_ms())
    known = "" if done.is_new else " (known already)"
    out.print(f"[green]imported[/] {done.links:,} links{known}; the next usher stitch or usher retrain judges them")


@identity.command("forget-import")
def forget_import(
    file: Annotated[Path, typer.Argument(help="the CSV file, with the very pairs that were imported")],
) -> None:
    """Take back the import of an identity graph: what only it said is undone with the next stitching."""
    from origin.identity.importing import forget_graph

    with _reported():
        settings = _settings()
        key = settings.user_hash_key()
        with _lake(settings) as lake, out.status(f"forgetting {escape(str(file))}"):
            links = forget_graph(file, key, lake)
    out.print(f"[green]forgotten[/] {links:,} links; the next usher stitch or usher retrain undoes what only they said")


@identity.command()
def show(
    wanted: Annotated[str, typer.Argument(metavar="VISITOR|USER|PERSON", help="an id; a user's own id or its hash")],
) -> None:
    """Print a person, its devices, and why each of them belongs to it."""
    from origin.identity.show import find_person
    from origin.identity.showing import print_person

    with _reported():
        settings = _settings()
        key = None if settings.user_key is None else settings.user_hash_key()
        with _lake(settings) as lake:
            found = find_person(lake, wanted, key)
    print_person(out, found)


def main() -> None:
    """The entry point."""
    app()


# What the commands share


def _load(path: Path) -> Config:
    from origin.config import load_config

    return load_config(path)


def _print_off(off: Sequence[str]) -> None:
    from shared.snapshot import WHOLE_SITE

    if not off:
        out.print("[green]on[/] everything is personalised")
    elif WHOLE_SITE in off:
        out.print("[red]off[/] the whole site shows its own content; [bold]usher on[/] ends that")
    else:
        out.print(f"[red]off[/] {escape(', '.join(off))}: the pages' own content; [bold]usher on[/] ends that")


@contextmanager
def _kv(settings: Settings) -> Iterator[KvClient]:
    from origin.kv import KvClient

    token = settings.api_token.get_secret_value() if settings.api_token is not None else None
    client = KvClient(settings.kv_namespace_url(), token)
    try:
        yield client
    finally:
        client.close()


def _pull(lake: Lake, settings: Settings) -> bool:
    """Pull, and say whether every object was good."""
    from origin.pull import pull as bring

    with out.status("pulling new events"):
        done = bring(lake, settings)
    out.print(f"[green]pulled[/] {done.objects:,} new objects with {done.lines:,} events ({done.known:,} known)")
    _print_errors(done.damaged)
    return not done.damaged


def _compact(lake: Lake, *, remove: bool = False) -> None:
    from origin.compact import compact as merge

    with out.status("compacting"):
        done = merge(lake, remove=remove)
    days = f" into {len(done.days):,} day{'' if len(done.days) == 1 else 's'}" if done.days else ""
    out.print(
        f"[green]compacted[/] {done.objects:,} objects{days}; {done.repeated:,} copies left out"
        + (f"; {done.removed:,} objects removed" if remove else "")
    )


def _stitch(config: Config, lake: Lake) -> None:
    from origin.identity.stitch import stitch as join

    with out.status("stitching"):
        done = join(lake, config.identity, _now_ms())
    changes = ", ".join(f"{count:,} {kind}" for kind, count in done.changes.items()) or "nothing new"
    out.print(
        f"[green]stitched[/] {done.visitors:,} visitors and {done.users:,} users into {done.persons:,} persons: "
        f"{changes}"
    )
    refused = sum(count for outcome, count in done.outcomes.items() if outcome != "joined")
    if refused:
        reason = "because of shared visitors or users, or of too large persons"
        out.print(f"[yellow]note[/] {refused:,} links are not joined, {reason}")


def _train(config: Config, lake: Lake, as_of_ms: int) -> Model:
    from origin.train import train as fit

    with out.status("training"):
        model = fit(config, lake, as_of_ms, _now_ms())
    for name, each in model.touchpoints.items():
        cells = len(each.cells) - 1
        out.print(
            f"[green]trained[/] {name}: {each.decisions:,} decisions, {each.rewards:,} rewards, "
            f"{len(each.variants)} variants, global and {cells} segment{'' if cells == 1 else 's'}"
            f"{f', {each.people:,} people' if each.people else ''}; {_describe_level(each.level, each.reason)}"
        )
        if each.unknown_variants:
            out.print(
                f"[yellow]note[/] {name}: {each.unknown_variants:,} decisions on variants not configured: left out"
            )
    return model


def _describe_level(level: str, reason: str) -> str:
    """Which level a touchpoint has reached, and why not a finer one."""
    return f"uses the {level} level" + (f" ({reason})" if reason else "")


def _publish(config: Config, model: Model, lake: Lake, client: KvClient) -> None:
    from origin.publish import publish as put

    with out.status("publishing"):
        done = put(config, model, lake, client, _now_ms())
    if done.profiles.written or done.profiles.unchanged:
        out.print(
            f"[green]profiles[/] {done.profiles.written:,} written with {done.profiles.bytes:,} bytes, "
            f"{done.profiles.unchanged:,} unchanged"
        )
    if done.replaced is not None:
        out.print(f"[yellow]note[/] {escape(done.replaced)}; written anew")
    if done.changed:
        out.print(f"[green]published[/] {done.version}: {len(done.keys)} keys, {done.bytes:,} bytes")
    else:
        out.print(f"[green]unchanged[/] {done.version} stays live: the same content is published already")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _moment(text: str | None) -> int:
    if text is None:
        return _now_ms()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise OriginError(f"--as-of {text!r}: not a time; write it like 2026-11-22T04:00:00+00:00") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)
