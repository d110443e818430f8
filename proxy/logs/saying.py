"""How an exchange is said in a terminal: one line, or at length; nothing in it can command the terminal."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import Any, Dict, Iterable, List, Mapping

import click

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_WRONG, _LEFT = "red", "yellow"
_SHADES = {"complete": "green", "client_abort": _LEFT, "cancelled": _LEFT}
INDENT = "  "


def say(text: str = "", nl: bool = True) -> None:
    """Print, in colours only where somebody sees them and has not asked for none (no-color.org)."""
    click.echo(text, nl=nl, color=False if os.environ.get("NO_COLOR") else None)


def nobody_reads() -> None:
    """Let what is still to be printed vanish: whoever read it has had enough, and the interpreter would complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def harmless(text: str) -> str:
    """Text without characters that a terminal obeys."""
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text.replace("\r\n", "\n"))


def flat(value: Any) -> str:
    """A value, of whatever kind, as harmless text on one line: no name can forge a line or a row."""
    return harmless(str(value)).replace("\n", "\\n").replace("\t", "\\t")


def in_one_line(row: Mapping[str, Any]) -> str:
    """An exchange as ``tail`` shows it."""
    outcome = row["outcome"] or "?"
    words = [
        click.style(str(row["timestamp"])[:23].replace("T", " "), dim=True),
        str(row["status"] or "---"),
        click.style(f"{flat(outcome):<14}", fg=_SHADES.get(outcome, _WRONG)),
        flat(f"{row['method']} {row['path']}"),
        click.style(flat(models(row)), bold=True),
        flat(modes(row)),
        *_numbers(row),
        click.style(flat(row["logging_id"])[:8], dim=True),
    ]
    return "  ".join(word for word in words if word)


def models(row: Mapping[str, Any]) -> str:
    """The model as asked, as sent and as answered, as far as they differ."""
    names = [row.get(name) for name in ("model", "sent_model", "answered_model")]
    return " -> ".join(dict.fromkeys(str(name) for name in names if name))


def modes(row: Mapping[str, Any]) -> str:
    """How the provider was asked and how the client was answered."""
    named = (str(row.get(name) or "") for name in ("send_mode", "return_mode"))
    sent, returned = ("json" if name == "non_stream" else name for name in named)
    return f"{sent}->{returned}" if sent and returned and sent != returned else returned or sent


def _numbers(row: Mapping[str, Any]) -> Iterable[str]:
    if row["duration_ms"] is not None:
        yield duration(row["duration_ms"]) + (f" (first {duration(row['ttft_ms'])})" if row["ttft_ms"] else "")
    if row["tokens_in"] is not None or row["tokens_out"] is not None:
        yield f"{row['tokens_in'] or 0}+{row['tokens_out'] or 0} tokens"
    if (row["attempts"] or 0) > 1:
        yield f"{row['attempts']} attempts"
    if row["error_code"]:
        yield click.style(flat(row["error_code"]), fg=_WRONG)


def duration(ms: Any) -> str:
    """Milliseconds as one reads them."""
    if not isinstance(ms, (int, float)):
        return "-"
    return f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.2f} s"


def ask_at_length(asked: Any) -> str:
    """An ask: its parameters, then its messages."""
    if not isinstance(asked, dict) or not isinstance(asked.get("messages"), list):
        return pretty(asked)
    rest = {name: value for name, value in asked.items() if name != "messages"}
    told = [pretty(rest)] if rest else []
    return "\n".join([*told, *(message(one) for one in asked["messages"])])


def answer_at_length(answered: Any) -> str:
    """An answer: the messages of its choices, then the rest."""
    if not isinstance(answered, dict) or not isinstance(answered.get("choices"), list):
        return pretty(answered)
    told: List[str] = []
    for choice in answered["choices"]:
        if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
            return pretty(answered)
        told.append(message(choice["message"]))
        told.append(click.style(f"({harmless(str(choice.get('finish_reason')))})", dim=True))
    rest = {name: value for name, value in answered.items() if name != "choices"}
    return "\n".join([*told, pretty(rest)])


def message(one: Any) -> str:
    """One message: who, what, which calls."""
    if not isinstance(one, dict):
        return pretty(one)
    told = [click.style(harmless(str(one.get("role", "?"))), bold=True)]
    for name in ("reasoning_content", "reasoning"):
        if isinstance(one.get(name), str) and one[name]:
            told.append(click.style(_indented(harmless(one[name])), dim=True))
    content = one.get("content")
    if content not in (None, "", []):
        told.append(_indented(harmless(content) if isinstance(content, str) else pretty(content)))
    shown = {"role", "content", "reasoning_content", "reasoning"}
    rest: Dict[str, Any] = {name: value for name, value in one.items() if name not in shown and value not in (None, [])}
    return "\n".join([*told, *([_indented(pretty(rest))] if rest else [])])


def pretty(value: Any) -> str:
    """JSON for people."""
    return value_free_of_controls(json.dumps(value, indent=2, ensure_ascii=False))


def value_free_of_controls(text: str) -> str:
    """JSON text whose strings hold no characters that a terminal obeys; it stays JSON."""
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def shown(text: str) -> str:
    """Text for other programs, as it is; in a terminal without what would command that."""
    return value_free_of_controls(text) if sys.stdout.isatty() else text


def _indented(text: str) -> str:
    return "\n".join(INDENT + line for line in text.split("\n"))
