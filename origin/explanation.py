"""How a replay and a derivation look in the terminal; tables and facts fit one of 80 columns."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from math import inf

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from origin.explain import Derivation, Runner
from origin.logged import REPEATED, LoggedDecision
from origin.replay import Replay
from origin.terminal import print_errors


def print_replay(out: Console, done: Replay) -> None:
    """Say what a replay found; what failed goes to the standard error."""
    repeats = f"{done.repeats:,} of them repeating an earlier one"
    out.print(f"[green]same[/] {_count(done.same, 'decision')}, to the last bit; {repeats}")
    if done.forced:
        out.print(f"[green]same[/] {_count(done.forced, 'preview')}, as the links ask")
    if done.unmatched:
        out.print(
            f"[yellow]note[/] not certified: {_count(done.unmatched, 'repeat')} whose draw the lake does not hold"
        )
    if done.first_missing is not None:
        print_errors([f"{_count(done.missing, 'decision')} cannot be replayed, the first:", f"  {done.first_missing}"])
    if done.first_difference is not None:
        first = done.first_difference
        print_errors(
            [
                f"{_count(done.different, 'decision')} came out otherwise, the first:",
                f"  {first.touchpoint} of {first.event_id}",
                f"  {first.place}",
                *(f"  {each}" for each in first.problems),
            ]
        )


def print_repeat(out: Console, logged: LoggedDecision, draw: LoggedDecision | None) -> None:
    """Say that a decision repeats an earlier one, or was forced."""
    _print_title(out, logged)
    facts = {"decision": logged.event_id, "at": _time(logged.decided_ms)}
    if draw is not None:
        facts["repeats"] = draw.event_id
    elif logged.reason == REPEATED:
        facts["repeats"] = f"a draw of {logged.snapshot} that the lake does not hold"
    else:
        facts["drawn"] = f"nothing ({logged.reason})"
    _print(out, _facts(facts))


def print_derivation(out: Console, found: Derivation) -> None:
    """Print the whole derivation of a decision that is no repeat."""
    _print_title(out, found.logged)
    _print(out, _facts(dict(_name_inputs(found))))
    if found.rows:
        _print_heading(out, f"Posteriors, as log-odds of {found.place.goal}{_name_shift(found)}")
        _print(out, _posteriors(found))
        _print_heading(out, f"Constraints{_name_interest(found)}")
        _print(out, _constraints(found))
    if found.race:
        _print_heading(out, "The race: the smallest −ln u / π wins")
        _print(out, _race(found.race))
    if found.interest_race:
        kept = ", ".join(str(position + 1) for position in found.place.interest_slots)
        _print_heading(out, f"The race of other interests, for position {kept} of the slate")
        _print(out, _race(found.interest_race))
    _print_choice(out, found)
    if found.problems:
        _print_heading(out, "[red]The log says otherwise[/]; see usher replay")
        for each in found.problems:
            out.print(f"  {escape(each)}")


def _name_inputs(found: Derivation) -> Iterator[tuple[str, str]]:
    logged, decision, header = found.logged, found.decision, found.situation.snapshot.header
    yield "decision", logged.event_id
    yield "at", _time(logged.decided_ms)
    yield "visitor", logged.visitor
    arm = "held out" if found.situation.is_holdout else "not held out"
    yield "unit", f"{logged.unit}, {arm} (a share of {header.holdout_share:g} is)"
    yield "epoch", decision.epoch
    yield "snapshot", logged.snapshot
    yield "profile", logged.profile or "none"
    yield "inputs", ", ".join(f"{name} = {value}" for name, value in _flatten(found.situation.attributes))
    yield "segments", ", ".join(segment.name for segment in found.situation.segments) or "none"
    if found.place.is_tagged:
        share = f"other ones get at least {found.place.interest_share:g}"
        yield "interest", f"{found.situation.interest}; {share}" if found.situation.interest else "none known"
    if decision.excluded:
        yield "not eligible", ", ".join(decision.excluded)
    yield "level", f"{decision.level} {decision.cell}".strip()
    if decision.fallbacks:
        yield "passed over", f"a finer level: {', '.join(decision.fallbacks)}"
    if decision.relaxations:
        yield "relaxed", f"{', '.join(decision.relaxations)}, which the eligible variants cannot meet"


def _name_shift(found: Derivation) -> str:
    moved = ", ".join(f"{escape(name)} = {value:g}" for name, value in found.shift)
    return f", shifted by {moved}" if moved else ""


def _name_interest(found: Derivation) -> str:
    if not any(row.is_outside for row in found.rows):
        return ""
    return f": floors, caps, at least {found.place.interest_share:g} for other interests"


def _posteriors(found: Derivation) -> Table:
    shifted = bool(found.shift)
    table = _table("mean", "sd", *(("shifted", "sd") if shifted else ()), "best with")
    for row in found.rows:
        moved = (row.shifted_mean, row.shifted_sd) if shifted else ()
        table.add_row(escape(row.name), *map(_show, (row.mean, row.sd, *moved, row.thompson)))
    return table


def _constraints(found: Derivation) -> Table:
    has_interest = any(row.is_outside for row in found.rows)
    table = _table("best with", "floor", "then", "cap", "then", *(("other",) if has_interest else ()), "served")
    for row in found.rows:
        bounded = map(_show, (row.thompson, row.floor, row.floored, row.cap, row.capped))
        other = (("yes" if row.is_outside else "no"),) if has_interest else ()
        table.add_row(escape(row.name), *bounded, *other, _show(row.served))
    return table


def _race(runners: tuple[Runner, ...]) -> Table:
    table = _table("π", "u", "−ln u / π")
    for each in runners:
        table.add_row(escape(each.name), *map(_show, (each.probability, each.u, each.finish)))
    return table


def _print_choice(out: Console, found: Derivation) -> None:
    decision = found.decision
    if not found.race:
        _print_heading(out, f"nothing was drawn ({decision.reason}): {escape(decision.variant)} is the default")
        if found.rows:
            out.print("  what is served above is what would have been drawn from")
        return
    if decision.slate:
        _print_heading(out, "The slate, each position given those before it")
        _print(out, _slate(found))
    else:
        _print_heading(out, f"{escape(decision.variant)} wins: propensity {decision.propensity!r}")
    if not decision.randomised:
        out.print("  not randomised: its epoch had drawn among these before, so its u are used up")


def _slate(found: Derivation) -> Table:
    decision = found.decision
    outside = {row.name for row in found.rows if row.is_outside}
    table = Table("position", box=None, padding=(0, 1), pad_edge=False)
    table.add_column("variant", overflow="fold")
    table.add_column("propensity", justify="right", no_wrap=True)
    table.add_column("by", no_wrap=True)
    for position, name in enumerate(decision.slate):
        is_kept = position in found.place.interest_slots and name in outside
        race = "other interests" if is_kept else "the race"
        table.add_row(str(position + 1), escape(name), repr(decision.slate_propensities[position]), race)
    return table


def _table(*numbers: str) -> Table:
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    table.add_column("variant", overflow="fold", min_width=8)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _facts(facts: Mapping[str, str]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name, escape(value))
    return table


def _print_title(out: Console, logged: LoggedDecision) -> None:
    out.print()
    out.print(
        f"[bold]{escape(logged.touchpoint)}[/]: {escape(logged.variant)}, {escape(logged.because)}", soft_wrap=False
    )


def _print_heading(out: Console, text: str) -> None:
    out.print()
    out.print(Padding(text, (0, 0, 0, 2), expand=False), soft_wrap=False)


def _print(out: Console, table: Table) -> None:
    out.print(Padding(table, (0, 0, 0, 2), expand=False), soft_wrap=False)


def _flatten(attributes: Mapping[str, object], path: str = "") -> Iterator[tuple[str, str]]:
    """The attributes as conditions name them, with dots; what is empty inside is left out."""
    for name, value in sorted(attributes.items()):
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", json.dumps(value, ensure_ascii=False, default=str)


def _show(value: float) -> str:
    if value == inf:
        return "never"
    if value == 0.0 or 1e-4 <= abs(value) < 1e4:
        return f"{value:.4f}"
    return f"{value:.2e}"


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _time(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC"
