"""Where the provider is, from ``--url``, and which of its URLs a client's path means. Pure text: nothing is resolved.

The host comes from the settings only. A client's path and query are appended to a fixed origin as text, never joined as
a URL, so that whatever they contain can only ever be a path and a query there.
"""

from __future__ import annotations

import base64
import re
from ipaddress import IPv6Address
from typing import Iterable, NamedTuple
from urllib.parse import unquote_to_bytes

ENDPOINTS = (
    "/chat/completions",
    "/completions",
    "/embeddings",
    "/responses",
)  # the longest match counts, so order matters

# First segments of OpenAI's paths (spec 6). /v1/... and these go to the base, anything else to the origin.
_SEGMENTS = """assistants audio batches chat chatkit completions containers content_provenance_checks conversations
embeddings evals files fine_tuning images models moderations organization projects realtime responses skills threads
uploads vector_stores videos"""
SEGMENTS = frozenset(_SEGMENTS.split())

# Other kinds of provider have these too.
SHARED = frozenset({"models", "files", "batches"})

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<rest>[^/?#\\]*)(?P<path>(?:/[^?#]*)?)(?:\?(?P<query>[^#]*))?(?:#.*)?", re.I | re.S
)
_DEMO = re.compile(r"demo:(?://)?(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#.*)?", re.I | re.S)
_REPLAY = re.compile(r"replay:", re.I)
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._\-\u0080-\U0010ffff]+)(?::(?P<port>[0-9]{0,5}))?")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://[^/?#]*")  # what precedes the path in an absolute-form target
_ILLEGAL = re.compile(r"[^A-Za-z0-9\-._~!$&'()*+,;=:@/?%\[\]]")  # square brackets stay: they are common in raw queries
_CONTROL = re.compile(r"[\x00-\x20\x7f]")


class Address(NamedTuple):
    """One provider: ``origin`` (``https://host:port``, ``demo:``), ``base`` path, ``named`` endpoint, fixed query."""

    origin: str
    base: str
    named: str = ""
    query: str = ""
    credential: str = ""

    @property
    def where(self) -> str:
        """What to print, and to key by: without userinfo and query, which may be secret."""
        return self.origin + self.base

    @property
    def authority(self) -> str:
        """``host`` or ``host:port``, as the Host header has it; empty for what is embedded."""
        return self.origin.partition("://")[2]

    def endpoint(self, path: str, query: str = "") -> str:
        """The URL of an endpoint of ours such as ``/chat/completions``, with the client's ``query``."""
        return self._url(self.base + path, query)

    def target(self, raw_path: str, query: str) -> str:
        """The URL for a client's path and query as they came, still percent-encoded; an absolute-form path will do."""
        path = _own_path(raw_path)
        rest = _without_version(path)
        if rest is not path or path.split("/", 2)[1] in SEGMENTS:
            path = self.base + rest
        return self._url(path, query)

    def _url(self, path: str, query: str) -> str:
        merged = _merged(self.query, _legal(query, "latin-1"))
        return self.origin + _legal(path, "latin-1").replace("?", "%3F") + ("?" + merged if merged else "")


def read_address(url: str, endpoints: Iterable[str] = (), bare: str = "/v1") -> Address:
    """The provider that ``--url`` means: a full endpoint, a base, or a bare host. Raises ValueError in one line.

    Userinfo becomes a Basic credential for asks that carry none, and appears in no URL. A bare host gets the base
    ``bare``; any other is used as it stands, like the ``base_url`` of OpenAI's SDK. ``endpoints``: further ones.
    """
    text = url.strip()
    if _REPLAY.match(text):  # what follows is a path on this machine's disk, and no part of any URL
        return Address("replay:", bare)
    if _CONTROL.search(text):
        raise ValueError("the URL has a blank or a control character in it")
    demo = _DEMO.fullmatch(text)
    match = demo or _URL.fullmatch(text)
    if match is None and "\\" in text:
        raise ValueError("the URL has a backslash in it")
    if match is None:
        raise ValueError("the URL must begin with http:// or https://, or be demo: or replay:PATH")
    origin, credential = ("demo:", "") if demo else _origin(match["scheme"].lower(), match["rest"])
    path = _legal(match["path"], "utf-8").rstrip("/")
    base, named = _base("/" + path.lstrip("/") if path and demo else path, (*endpoints, *ENDPOINTS), bare)
    return Address(origin, base, named, _legal(match["query"] or "", "utf-8"), credential)


def _origin(scheme: str, rest: str) -> tuple[str, str]:
    userinfo, _, host = rest.rpartition("@")
    found = _HOST.fullmatch(host)
    if found is None or int(found["port"] or 0) > 65535:
        raise ValueError("the URL has no valid host and port")
    name = _host(found["name"].lower())
    pair = unquote_to_bytes(userinfo)
    credential = "Basic " + base64.b64encode(pair if b":" in pair else pair + b":").decode("ascii") if userinfo else ""
    return f"{scheme}://{name}" + (f":{int(found['port'])}" if found["port"] else ""), credential


def _host(name: str) -> str:
    """A host's name as the resolver will have it; raises ValueError for one that it could not even look up."""
    try:
        if name.startswith("["):
            IPv6Address(name[1:-1])
            return name
        ascii_name = name.encode("idna").decode("ascii")  # labels that are empty or too long fail here
    except ValueError:
        raise ValueError("the URL has no valid host and port") from None
    return ascii_name if not name.isascii() else name


def _base(path: str, endpoints: Iterable[str], bare: str) -> tuple[str, str]:
    named = next((known for known in endpoints if path.endswith(known)), "")
    if named:
        return path[: -len(named)], named
    return path or bare, ""


def is_openai_path(path: str) -> bool:
    """Whether a client's path is one of OpenAI's, with or without ``/v1``; those that others have too are not."""
    return segment_of(path) in SEGMENTS - SHARED


def segment_of(path: str) -> str:
    """The first word of an OpenAI path below ``/v1``, if it is one of those that are known; else an empty text."""
    word = _without_version(_own_path(path)).lstrip("/").partition("/")[0]
    return word if word in SEGMENTS else ""


def _own_path(raw_path: str) -> str:
    path = _ABSOLUTE.sub("", raw_path, count=1) if not raw_path.startswith("/") else raw_path
    return path if path.startswith("/") else "/" + path


def _without_version(path: str) -> str:
    """The path below ``/v1``, however often a client's base_url has it; the same object if there is no ``/v1``."""
    while path == "/v1" or path.startswith("/v1/"):
        path = path[3:]
    return path


def _merged(fixed: str, given: str) -> str:
    """The client's query as it came, behind those parameters of ``--url`` that the client does not give itself."""
    keys = {part.partition("=")[0] for part in given.split("&")}
    kept = [part for part in fixed.split("&") if part and part.partition("=")[0] not in keys]
    return "&".join([*kept, given] if given else kept)


def _legal(text: str, encoding: str) -> str:
    """``text`` with the characters that no URI may hold percent-encoded, and nothing else touched."""

    def encoded(match: re.Match[str]) -> str:
        char = match[0]
        # WSGI hands bytes over as latin-1 (PEP 3333), so that this gives back the very bytes the client sent.
        raw = char.encode(encoding if ord(char) < 256 else "utf-8", "replace")
        return "".join(f"%{byte:02X}" for byte in raw)

    return _ILLEGAL.sub(encoded, text)
