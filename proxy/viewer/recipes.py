"""A recorded ask as something to paste: a curl line, a Python program. Keys are placeholders. Pure."""

from __future__ import annotations

import re
import shlex
from pprint import pformat
from typing import Any, Dict, List, Optional, Tuple
from urllib.parse import unquote

import msgspec

from proxy.dialects import DEFAULT, DIALECTS
from proxy.dialects.parameters import METHODS, REQUIRED
from proxy.headers import end_to_end

REDACTED = "[redacted]"
KEY = "$OPENAI_API_KEY"
LONGEST = 100_000  # bytes of one word of a command; Linux takes 128 KiB
PRETTY = 65_536  # characters of a literal that is laid out in lines, which takes its time
# What a client's own library says of itself and of its body; curl and requests have their own
OTHERS = ("user-agent", "accept", "accept-encoding", "content-type", "content-length", "x-stainless-")

# Where a key may be; and our own headers that are wishes of the client's
CREDENTIALS = ("authorization", "x-api-key", "api-key")
WISHES = ("x-forward-mode", "x-forward-compatible")

Pairs = List[Tuple[str, str]]


class Recorded(msgspec.Struct, frozen=True):
    """An ask as a journal has it; ``headers`` are the client's, ``target`` its path and query without credentials."""

    method: str
    target: str
    headers: Pairs
    body: Any
    dialect: Optional[str]

    @classmethod
    def of(cls, line: Dict[str, Any]) -> Recorded:
        """From the client's line."""
        told = line.get("headers")
        asked = told.get("ask") if isinstance(told, dict) else None
        pairs = [(pair[0], pair[1]) for pair in asked or [] if _is_pair(pair)]
        method, path = line.get("method"), line.get("path")
        return cls(
            method if isinstance(method, str) and method else "POST",
            _without_credentials(path if isinstance(path, str) else "/"),
            pairs,
            line.get("input"),
            line.get("client_dialect"),
        )

    @property
    def keys(self) -> List[str]:
        """The names of the headers that held a credential; a bearer's where the journal has no headers."""
        named = [name for name, value in self.headers if name.lower() in CREDENTIALS and REDACTED in value]
        return named or ["Authorization"]

    @property
    def others(self) -> Pairs:
        """The headers that say something about the ask, and no credential."""
        told = [pair for pair in self.headers if REDACTED not in pair[1] and pair[0].lower() not in CREDENTIALS]
        kept = end_to_end(told, "request", own_body=True)
        wishes = [pair for pair in told if pair[0].lower() in WISHES]
        return [*(pair for pair in kept if not pair[0].lower().startswith(OTHERS)), *wishes]


def curl(ask: Recorded, base: str) -> str:
    """A command for a POSIX shell; ``base`` is the proxy's address without a slash at its end."""
    lines = [f"curl -N{_flags(ask)} {shlex.quote(base + ask.target)}"]
    lines += [f'-H "{name}: {value}"' for name, value in credentials(ask)]
    lines += ["-H " + shlex.quote(f"{name}: {value}") for name, value in ask.others]
    if ask.body is not None:
        text = _spelled(ask.body)
        said, short = shlex.quote(text), len(text) <= LONGEST and len(shlex.quote(text).encode()) <= LONGEST
        lines += ["-H 'Content-Type: application/json'", f"-d {said}" if short else f"-d @- <<'END'\n{text}\nEND"]
    return " \\\n  ".join(lines)


def _flags(ask: Recorded) -> str:
    """What keeps curl from doing something of its own: brackets would be patterns, dots would be resolved."""
    globs, dots = re.search(r"[\[\]{}]", ask.target), re.search(r"/\.{1,2}(?:[/?]|$)", ask.target)
    flags = (" -g" if globs else "") + (" --path-as-is" if dots else "")
    if ask.method == "HEAD":
        return flags + " -I"  # with -X it would wait for a body
    return flags + (f" -X {shlex.quote(ask.method)}" if ask.method != ("GET" if ask.body is None else "POST") else "")


def python(ask: Recorded, base: str) -> str:
    """A program: with OpenAI's library where it has a method for this ask, else with requests."""
    method = _method_of(ask)
    return _with_requests(ask, base) if method is None else _with_library(ask, base, method)


def credentials(ask: Recorded, key: str = KEY) -> Pairs:
    """The headers that carry the key."""
    return [(name, f"Bearer {key}" if name.lower() == "authorization" else key) for name in ask.keys]


def _method_of(ask: Recorded) -> Optional[str]:
    dialect = DIALECTS.get(ask.dialect or "")
    if dialect is None or dialect.family != DEFAULT or not isinstance(ask.body, dict) or "?" in ask.target:
        return None
    if dialect.path not in METHODS or not REQUIRED[dialect.path] <= set(ask.body):
        return None
    return ".".join(dialect.path.strip("/").split("/")) + ".create"


def _with_library(ask: Recorded, base: str, method: str) -> str:
    path = DIALECTS[ask.dialect or ""].path
    known = {name: value for name, value in ask.body.items() if name in METHODS[path]}
    more = {name: value for name, value in ask.body.items() if name not in known}
    extra: Dict[str, Any] = {"extra_body": more} if more else {}
    if ask.others:
        extra["extra_headers"] = dict(ask.others)
    given = "".join(f"    {name}={_literal(value)},\n" for name, value in {**known, **extra}.items())
    root = base + ask.target.rpartition(path)[0]
    shown = "for chunk in answer:\n    print(chunk)" if ask.body.get("stream") is True else "print(answer)"
    return (
        "import os\n\nfrom openai import OpenAI\n\n"
        f'client = OpenAI(base_url={root!r}, api_key=os.environ["OPENAI_API_KEY"])\n'
        f"answer = client.{method}(\n{given})\n{shown}\n"
    )


def _with_requests(ask: Recorded, base: str) -> str:
    headers = "".join(
        f"    {name!r}: " + ("f'Bearer {key}'" if value.startswith("Bearer") else "key") + ",\n"
        for name, value in credentials(ask)
    )
    headers += "".join(f"    {name!r}: {value!r},\n" for name, value in ask.others)
    body = "" if ask.body is None else f", json={_literal(ask.body)}"
    return (
        'import os\n\nimport requests\n\nkey = os.environ["OPENAI_API_KEY"]\n'
        f"headers = {{\n{headers}}}\n"
        f"answer = requests.request({ask.method!r}, {base + ask.target!r}, headers=headers{body}, stream=True)\n"
        "print(answer.status_code)\n"
        "for line in answer.iter_lines():\n    print(line.decode())\n"
    )


def _literal(value: Any) -> str:
    text = repr(value)
    if len(text) > PRETTY:
        return text
    return pformat(value, width=100, sort_dicts=False).replace("\n", "\n    ")


def _spelled(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _is_pair(pair: Any) -> bool:
    return isinstance(pair, (list, tuple)) and len(pair) == 2 and all(isinstance(item, str) for item in pair)


def _without_credentials(target: str) -> str:
    path, _, query = target.partition("?")
    kept = [pair for pair in query.split("&") if pair and REDACTED not in unquote(pair)]
    return path + ("?" + "&".join(kept) if kept else "")
