"""``logs show``: one exchange, all four sides of it."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import click

from proxy.archive import Archive
from proxy.logs.asked import opened, with_folder
from proxy.logs.saying import answer_at_length, ask_at_length, duration, flat, models, modes, pretty, say
from proxy.logs.spelling import to_json

SIDES = (
    ("client", "input", "what the client asked", ask_at_length),
    ("provider", "input", "what was sent on", ask_at_length),
    ("provider", "output", "what came back", answer_at_length),
    ("client", "output", "what the client got", answer_at_length),
)


@click.command()
@click.argument("logging_id")
@click.option("--json", "as_json", is_flag=True, help='Both lines as they are: {"client": ..., "provider": ...}.')
@with_folder
def show(folder: str, logging_id: str, as_json: bool) -> None:
    """Show one exchange; the beginning of its LOGGING_ID is enough if it is the only one that begins so."""
    archive = opened(folder)
    found = archive.one(the_one(archive, logging_id.strip().lower()))
    if found is None:
        raise click.ClickException(f"the lines of {logging_id} are gone")
    say(pretty(found) if as_json else at_length(found))


def the_one(archive: Archive, prefix: str) -> str:
    """The logging_id that begins so. Raises ClickException if there is none, or more than one."""
    found = archive.beginning_with(prefix, 6) if prefix else []
    if not found:
        raise click.ClickException(f"no exchange begins with {prefix!r}")
    if len(found) > 1 and prefix not in found:
        told = ", ".join(found[:5]) + (" and more" if len(found) > 5 else "")
        raise click.ClickException(f"{prefix!r} is the beginning of {told}")
    return prefix if prefix in found else found[0]


def at_length(found: Dict[str, Any]) -> str:
    """Both lines for people."""
    line: Dict[str, Any] = found["client"] or found["provider"] or {}
    told = [f"{click.style(name + ':', dim=True)} {value}" for name, value in _facts(line) if value]
    shown: Dict[str, Tuple[Any, str]] = {}
    for side, field, title, spell in SIDES:
        value = (found[side] or {}).get(field)
        told += ["", click.style(f"--- {title}", fg="cyan", bold=True)]
        same = next((other for kind, (seen, other) in shown.items() if kind[0] == field[0] and seen == value), None)
        if found[side] is None:
            told.append("(not recorded)")
        elif same and value is not None:
            told.append(f"(as {same})")
        else:
            told.append("(nothing)" if value is None else spell(value))
        shown[field + side] = (value, title)
    return "\n".join(told)


def _facts(line: Dict[str, Any]) -> List[Tuple[str, str]]:
    attempts = _list(line.get("attempts"))
    first = f", first after {duration(line.get('ttft_ms'))}" if line.get("ttft_ms") is not None else ""
    facts = [
        ("exchange", line.get("logging_id")),
        ("time", line.get("timestamp")),
        ("ask", f"{line.get('method')} {line.get('path')}"),
        ("model", models(line)),
        ("dialects", " -> ".join(str(line[name]) for name in ("client_dialect", "provider_dialect") if line.get(name))),
        ("mode", modes(line)),
        ("status", f"{line.get('status')} (the provider's: {line.get('upstream_status')})"),
        ("outcome", line.get("outcome")),
        ("took", duration(line.get("duration_ms")) + first),
        ("usage", to_json(line["usage"]) if line.get("usage") else ""),
        ("attempts", ", ".join(_attempt(one) for one in attempts) if len(attempts) > 1 else ""),
        ("error", to_json(line["error"]) if line.get("error") else ""),
        ("repairs", ", ".join(map(str, _list(line.get("repairs"))))),
        ("dropped", ", ".join(map(str, _list(line.get("dropped"))))),
    ]
    return [(name, flat(value) if value else "") for name, value in facts]


def _list(value: Any) -> List[Any]:
    return value if isinstance(value, list) else []


def _attempt(one: Any) -> str:
    if not isinstance(one, dict):
        return str(one)
    return f"{one.get('mode')}: {one.get('status') or one.get('code')} after {duration(one.get('ms'))}"
