"""A recorded ask asked again: through the same door as every client's, as an exchange of its own."""

from __future__ import annotations

import re
from contextlib import suppress
from io import BytesIO
from typing import Any, Dict, List, Tuple
from urllib.parse import unquote

import msgspec
from flask import Response, current_app

from config.kinds import MODES
from proxy.archive.aside import aside
from proxy.archive.lines import read_line
from proxy.errors import ProxyError
from proxy.routes.archived import lines_of, readable
from proxy.routes.arrived import OPERATOR
from proxy.routes.visit import PREFIX, Visit, refused, told
from proxy.viewer.recipes import Recorded, credentials

LONGEST = 65_536
TARGET = re.compile(r"/[!-~]*")
KEY = re.compile(r"[!-~]{1,4096}")
METHOD = re.compile(r"[A-Z]{1,20}")
# What stands in the journal in place of what was too long, or of media
LEFT_OUT, MEDIA = {"omitted", "bytes", "sha256"}, {"type", "bytes", "sha256"}
# In place of a body that is no JSON
DESCRIBED, MORE = {"type", "size"}, {"type", "size", "name", "parts"}

# What the new ask has from the one for it
SAME = {"SERVER_NAME", "SERVER_PORT", "REMOTE_ADDR", "wsgi.version", "wsgi.url_scheme", "wsgi.errors"}
SAME |= {"wsgi.multithread", "wsgi.multiprocess", "wsgi.run_once"}

Environ = Dict[str, Any]


class Wish(msgspec.Struct):
    """``mode``: how the provider is asked this time; ``key``: for this call only, empty for the stored one."""

    mode: str = "off"
    key: str = ""


@readable
def repeat(visit: Visit) -> Response:
    """Ask again and wait for the whole answer; tells the logging_id and the status of the new exchange."""
    try:
        wish = msgspec.json.decode(visit.came.body(LONGEST) or b"{}", type=Wish)
    except (msgspec.MsgspecError, ValueError, ProxyError):
        return refused(400, "invalid_json", "A JSON object with mode and key is expected.")
    if wish.mode not in MODES or (wish.key and not KEY.fullmatch(wish.key)):
        return refused(400, "invalid_value", "The mode is none, or the key has characters that no key has.")
    line = (lines_of(visit) or {}).get("client")
    if line is None:
        return refused(404, "not_found", "There is no such exchange, or its client's line is missing.")
    ask = Recorded.of(aside(lambda: read_line(line)))
    reason = why_not(ask)
    if reason:
        return refused(409, "not_repeatable", reason)
    status, headers = through_the_door(environ_of(ask, wish, visit))
    return told({"logging_id": headers.get("x-logging-id"), "status": status})


def why_not(ask: Recorded) -> str:
    """Why an ask cannot be asked again; empty if it can."""
    path = ask.target.partition("?")[0]
    if not TARGET.fullmatch(ask.target) or not METHOD.fullmatch(ask.method) or (path + "/").startswith(PREFIX):
        return "This was no ask for the provider."
    if ask.method not in ("GET", "HEAD", "DELETE") and not _is_json(ask.body):
        return "The journal has no JSON of this ask."
    if _is_incomplete(ask.body):
        return "The journal has not kept all of this ask (media, or more than --log_max_bytes)."
    return ""


def environ_of(ask: Recorded, wish: Wish, visit: Visit) -> Environ:
    """The ask as a host would hand it to the application."""
    path, _, query = ask.target.partition("?")
    body = b"" if ask.body is None else msgspec.json.encode(ask.body)
    headers = [*ask.others, ("X-Forward-Mode", wish.mode), *(credentials(ask, wish.key) if wish.key else [])]
    environ: Environ = {
        "REQUEST_METHOD": ask.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(path, "latin-1"),
        "QUERY_STRING": query,
        "RAW_URI": ask.target,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.input": BytesIO(body),
        OPERATOR: True,
    }
    environ.update((name, value) for name, value in visit.request.environ.items() if name in SAME)
    environ.update((f"HTTP_{name.upper().replace('-', '_')}", value) for name, value in headers)
    if ask.body is not None:
        environ.update(CONTENT_TYPE="application/json", CONTENT_LENGTH=str(len(body)))
    return environ


def through_the_door(environ: Environ) -> Tuple[int, Dict[str, str]]:
    """Have the application answer, whatever comes of it; its status and headers (names in lower case)."""
    heard: List[Any] = [0, {}]

    def start_response(status: str, headers: List[Tuple[str, str]], exc_info: Any = None) -> Any:
        heard[:] = int(status.partition(" ")[0]), {name.lower(): value for name, value in headers}
        return lambda data: None

    answer = current_app.wsgi_app(environ, start_response)
    try:
        with suppress(OSError):  # a forwarded answer that broke off breaks its client's connection
            for _ in answer:
                pass
    finally:
        close = getattr(answer, "close", None)
        if close is not None:
            close()
    return heard[0], heard[1]


def _is_json(body: Any) -> bool:
    described = isinstance(body, dict) and DESCRIBED <= set(body) <= MORE
    return isinstance(body, (dict, list)) and not described


def _is_incomplete(value: Any) -> bool:
    if isinstance(value, dict):
        keys = set(value)
        if (keys >= LEFT_OUT and keys <= LEFT_OUT | {"head"}) or keys == MEDIA:
            return True
        return any(_is_incomplete(item) for item in value.values())
    return isinstance(value, list) and any(_is_incomplete(item) for item in value)
