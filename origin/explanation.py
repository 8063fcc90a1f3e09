"""How a derivation looks in the terminal."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from origin.explain import Derivation
from origin.logged import LoggedDecision


def print_repeat(out: Console, logged: LoggedDecision, draw: LoggedDecision | None) -> None:
    """Say that a decision repeats an earlier one, or was forced."""
    out.print(f"\n[bold]{escape(logged.touchpoint)}[/]: {escape(logged.variant)}, {escape(logged.because)}")
    if draw is None:
        out.print(f"  {logged.event_id} at {_time(logged.decided_ms)}: nothing was drawn now ({logged.reason})")
    else:
        out.print(f"  {logged.event_id} at {_time(logged.decided_ms)} repeats {draw.event_id}:")


def print_derivation(out: Console, found: Derivation) -> None:
    """Print the whole derivation of a decision that was drawn."""
    logged, decision = found.logged, found.decision
    out.print(f"\n[bold]{escape(logged.touchpoint)}[/]: {escape(logged.variant)}, {escape(logged.because)}")
    out.print(f"  decision {escape(logged.event_id)}, {_time(logged.decided_ms)}, visitor {escape(logged.visitor)}")
    out.print(f"  unit {escape(logged.unit)}{', in the holdout' if found.is_holdout else ''}; epoch {logged.epoch}")
    profile = f", profile {escape(logged.profile)}" if logged.profile else ""
    out.print(f"  snapshot {escape(logged.snapshot)}{profile}")
    attributes = json.dumps(found.situation.attributes, ensure_ascii=False, sort_keys=True, default=str)
    out.print(f"  attributes {escape(attributes)}")
    out.print(f"  segments {escape(', '.join(found.segments)) or 'none'}; level {_level(found)}")
    distribution = decision.distribution
    if distribution is not None:
        _print_notes(out, found)
        out.print(_table(found))
    _print_choice(out, found)


def _print_notes(out: Console, found: Derivation) -> None:
    distribution = found.decision.distribution
    assert distribution is not None
    if found.shift:
        moved = ", ".join(f"{escape(name)} = {value:g}" for name, value in found.shift)
        out.print(f"  the session shifts the posteriors: {moved}")
    if distribution.excluded:
        out.print(f"  not eligible: {escape(', '.join(distribution.excluded))}")
    if distribution.fallbacks:
        out.print(f"  a finer level was passed over: {', '.join(distribution.fallbacks)}")
    if found.decision.relaxations:
        out.print(f"  relaxed, as this visitor's variants cannot meet them: {', '.join(found.decision.relaxations)}")


def _table(found: Derivation) -> Table:
    table = Table("variant", box=None, padding=(0, 1), pad_edge=True)
    shifted = bool(found.shift)
    for name in ("mean", "sd", *(("shifted", "sd") if shifted else ())):
        table.add_column(name, justify="right")
    for name in ("best with", "after floors", "after caps", "served", "u", "−ln u / π"):
        table.add_column(name, justify="right")
    for row in sorted(found.rows, key=lambda each: each.finish):
        moved = (f"{row.shifted_mean:.4f}", f"{row.shifted_sd:.4f}") if shifted else ()
        table.add_row(
            escape(row.name), f"{row.mean:.4f}", f"{row.sd:.4f}", *moved, f"{row.thompson:.4f}", f"{row.floored:.4f}",
            f"{row.capped:.4f}", f"{row.served:.4f}", f"{row.u:.4f}", f"{row.finish:.4f}",
        )  # fmt: skip
    return table


def _print_choice(out: Console, found: Derivation) -> None:
    decision, logged = found.decision, found.logged
    if decision.slate:
        ranked = zip(decision.slate, decision.slate_propensities, strict=True)
        slate = ", ".join(f"{escape(name)} ({share:.4f})" for name, share in ranked)
        out.print(f"  slate, with the propensity of each position: {slate}")
    elif decision.randomised:
        out.print(f"  the first to finish is {escape(decision.variant)}: propensity {decision.propensity!r}")
    else:
        out.print(f"  nothing was drawn ({decision.reason}): {escape(decision.variant)} is the default")
    if not found.is_same:
        out.print(
            f"  [red]the log says otherwise[/]: {escape(logged.variant)} at {logged.propensity!r}; see usher replay"
        )


def _level(found: Derivation) -> str:
    return f"{found.decision.level} {escape(found.decision.cell)}".strip()


def _time(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC"
