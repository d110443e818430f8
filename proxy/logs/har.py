"""One exchange as an entry of an HTTP archive (HAR 1.2, http://www.softwareishard.com/blog/har-12-spec/); pure."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Dict, List
from urllib.parse import parse_qsl

from proxy.logs.spelling import to_json
from proxy.version import VERSION

Wire = Dict[str, Any]
HEAD = '{"log": {"version": "1.2", "creator": {"name": "OpenAI-Forward", "version": "%s"}, "entries": [' % VERSION
TAIL = "\n]}}\n"
UNKNOWN = -1  # as the format spells sizes and times that nobody knows
VERSION_OF_HTTP = "HTTP/1.1"


def entry(line: Wire) -> Wire:
    """The entry of a client's line; what lines without headers cannot tell is left empty."""
    took = _ms(line.get("duration_ms"))
    waited = min(_ms(line.get("ttft_ms"), took), took)
    return {
        "startedDateTime": f"{line.get('timestamp')}Z",
        "time": took,
        "request": _request(line),
        "response": _response(line),
        "cache": {},
        "timings": {"send": 0, "wait": waited, "receive": took - waited},
        "comment": f"{line.get('outcome')}, logging_id {line.get('logging_id')}",
    }


def _request(line: Wire) -> Wire:
    headers = _headers(line, "ask")
    path, _, query = str(line.get("path") or "/").partition("?")
    text = _text(line.get("input"))
    told: Wire = {
        "method": str(line.get("method") or ""),
        "url": f"http://{_value(headers, 'host', 'localhost')}{path}" + (f"?{query}" if query else ""),
        "httpVersion": VERSION_OF_HTTP,
        "cookies": [],
        "headers": headers,
        "queryString": [{"name": name, "value": value} for name, value in parse_qsl(query, keep_blank_values=True)],
        "headersSize": UNKNOWN,
        "bodySize": len(text.encode()),
    }
    if text:
        told["postData"] = {"mimeType": _value(headers, "content-type", "application/json"), "params": [], "text": text}
    return told


def _response(line: Wire) -> Wire:
    headers = _headers(line, "answer")
    status = line.get("status") if isinstance(line.get("status"), int) else 0
    text = _text(line.get("output"))
    content = {"size": len(text.encode()), "mimeType": _value(headers, "content-type", "application/json"), "text": text}
    return {
        "status": status,
        "statusText": _reason(status),
        "httpVersion": VERSION_OF_HTTP,
        "cookies": [],
        "headers": headers,
        "content": content,
        "redirectURL": "",
        "headersSize": UNKNOWN,
        "bodySize": UNKNOWN,
    }


def _headers(line: Wire, side: str) -> List[Dict[str, str]]:
    sides = line.get("headers")
    found = sides.get(side) if isinstance(sides, dict) else None
    pairs = [pair for pair in found or [] if isinstance(pair, list) and len(pair) == 2]
    return [{"name": str(name), "value": str(value)} for name, value in pairs]


def _value(headers: List[Dict[str, str]], name: str, otherwise: str) -> str:
    return next((pair["value"] for pair in headers if pair["name"].lower() == name), otherwise)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else to_json(value)


def _ms(value: Any, otherwise: float = 0) -> float:
    return max(0, value) if isinstance(value, (int, float)) else otherwise


def _reason(status: Any) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
