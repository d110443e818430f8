"""No request can choose where we go: the provider's host comes from the settings, whatever a client writes.

A decoy listens beside the provider: a connection that anybody opens to it waits there, and is found.
"""

from __future__ import annotations

import json
import socket

import pytest
from raw_client import Call
from stories import HELLO, TEXT, whole
from test_hosting import Host

REDIRECTS = (301, 302, 303, 307, 308)
KEY = "sk-confined-0123456789"
ASK = json.dumps({"model": "m", "messages": HELLO}).encode()


@pytest.fixture()
def decoy():
    """The address of somebody who must never be asked."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()[0].close()


@pytest.fixture(scope="module")
def doors(tmp_path_factory, _provider):
    """Proxies of our own: what their host says of such requests on stderr would be taken for complaints elsewhere."""
    started = {}

    def start(transport):
        if transport not in started:
            environ = {"FORWARD_URL": _provider.url, "FORWARD_TRANSPORT": transport}
            started[transport] = Host("app.py", tmp_path_factory.mktemp("journal"), **environ)
            started[transport].ask("GET", "/healthz")
        return started[transport]

    yield start
    for host in started.values():
        host.end()


@pytest.fixture()
def door(doors, transport):
    """A proxy with each transport."""
    return doors(transport)


TARGETS = {
    "absolute": "http://{decoy}/v1/models",
    "absolute with a user": "http://127.0.0.1:1@{decoy}/v1/models",
    "another scheme": "https://{decoy}/v1/models",
    "a file": "file:///etc/passwd",
    "a file on a host": "file://{decoy}/etc/passwd",
    "the embedded provider": "demo://{decoy}/v1/models",
    "a recording": "replay://{decoy}/v1/models",
    "gopher": "gopher://{decoy}/_x",
    "two slashes": "//{decoy}/v1/models",
    "three slashes": "///{decoy}/v1/models",
    "a user in front": "/@{decoy}/v1/models",
    "at once behind the host": "@{decoy}/v1/models",
    "a port behind the host": ":80@{decoy}/",
    "a backslash": "/\\{decoy}/v1/models",
    "backslashes": "\\\\{decoy}\\v1\\models",
    "dot segments": "/../../{decoy}/v1/models",
    "encoded slashes": "/%2F%2F{decoy}%2Fv1%2Fmodels",
    "an encoded at": "/%40{decoy}/",
    "a question": "?@{decoy}/",
    "a fragment": "/v1/models#@{decoy}/",
    "a query": "/v1/models?url=http://{decoy}/&host={decoy}",
    "a semicolon": "/v1/models;http://{decoy}/",
}


@pytest.mark.parametrize("row", TARGETS)
def test_no_target_leads_elsewhere(door, provider, decoy, row):
    provider.always(whole(b"{}"))
    call = Call(door.port, method="GET", target=TARGETS[row].format(decoy=decoy), host=decoy).rest()
    assert call.status in (200, 400, 404), call.got
    assert b"root:" not in call.got
    for heard in provider.heard:
        assert heard.header("host") == f"127.0.0.1:{provider.port}" and heard.target.startswith("/")


NAMED = (
    "X-Forwarded-Host",
    "X-Forwarded-Server",
    "Forwarded",
    "X-Host",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-Real-IP",
)
NAMED += ("X-Forward-Url", "X-Forward-Host", "X-Forward-Proxy", "Proxy", "X-Upstream", "Destination", "Via", "Referer")


@pytest.mark.parametrize("target", ["/v1/chat/completions", "/v1/files"])
def test_no_header_leads_elsewhere(door, provider, decoy, target):
    provider.plays(whole_of(target))
    headers = [(name, f"http://{decoy}/") for name in NAMED]
    call = Call(door.port, ASK, target=target, host=decoy, headers=headers).rest()
    assert call.status == 200
    assert provider.heard[0].header("host") == f"127.0.0.1:{provider.port}"
    for name in ("x-forwarded-host", "forwarded", "x-real-ip", "via", "x-forward-url"):
        assert provider.heard[0].all(name) == []


def whole_of(target):
    return [whole(TEXT.whole if target.endswith("completions") else b"{}")]


def test_no_connection_is_opened_for_connect(door, provider, decoy):
    call = Call(door.port, method="CONNECT", target=decoy, host=decoy).rest()
    assert call.status in (400, 405), call.got
    assert provider.heard == []


@pytest.mark.parametrize("method", ["TRACE", "TRACK"])
@pytest.mark.parametrize("target", ["/v1/chat/completions", "/v1/files", "/anything"])
def test_nobody_has_the_provider_repeat_what_it_was_sent(door, provider, method, target):
    call = Call(door.port, method=method, target=target).rest()
    assert (call.status, call.error["code"]) == (405, "method_not_allowed")
    assert provider.heard == []


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("target", ["/v1/chat/completions", "/v1/files"])
def test_no_redirect_is_followed_with_or_without_a_credential(door, provider, decoy, target, status):
    moved = b"HTTP/1.1 %d Moved\r\nLocation: http://%s/v1/files\r\nContent-Length: 0\r\n\r\n" % (status, decoy.encode())
    provider.plays([moved])
    headers = [("Authorization", f"Bearer {KEY}")]
    call = Call(door.port, ASK, target=target, headers=headers).rest()
    assert call.status == (502 if target.endswith("completions") else status)
    assert len(provider.heard) == 1


@pytest.mark.parametrize(
    "name", ["demo:", "http://{decoy}/v1", "file:///etc/passwd", "replay:x", "../../x", "m\r\nX-A: b"]
)
def test_no_models_name_leads_elsewhere_or_becomes_a_header(door, provider, decoy, name):
    provider.plays([whole(TEXT.whole)])
    body = json.dumps({"model": name.format(decoy=decoy), "messages": HELLO, "x\r\nX-A: b": 1}).encode()
    call = Call(door.port, body).rest()
    assert call.status == 200 and call.all("x-a") == []
    assert provider.heard[0].target == "/v1/chat/completions" and provider.heard[0].all("x-a") == []


def test_what_is_dropped_is_told_without_what_a_client_made_up(proxy, provider):
    provider.plays([whole(b'{"model": "m", "message": {"role": "assistant", "content": "a"}, "done": true}')])
    body = json.dumps({"model": "m", "messages": HELLO, "user": "u", "a\r\nX-A: b": 1, "\u2028": 2}).encode()
    call = Call(proxy(url=provider.origin + "/api/chat").port, body).rest()
    assert call.status == 200 and call.all("x-a") == []
    assert call.header("X-Forward-Dropped") == "user, unknown:2"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/api/chat"])
@pytest.mark.parametrize("url", ["http://{decoy}/a.png", "file:///etc/passwd"])
def test_no_picture_is_fetched(proxy, provider, decoy, path, url):
    """A picture's address is for the provider, or refused; what is ours to do never goes and looks."""
    provider.always(whole(b'{"error": {"message": "no", "type": "invalid_request_error"}}', status=b"400 No"))
    picture = {"type": "image_url", "image_url": {"url": url.format(decoy=decoy)}}
    body = json.dumps({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": [picture]}]}).encode()
    call = Call(proxy(url=provider.origin + path).port, body).rest()
    assert call.status == 400 and b"root:" not in call.got
    assert not any(b"root:" in heard.body for heard in provider.heard)


@pytest.mark.parametrize(
    "value", [b"a\rX-Forged: 1", b"a\r", b"a\r\rX-Forged: 1", b"a\0b", b"a\0\rX-Forged: 1", b"a\x7fb"]
)
@pytest.mark.parametrize("target", ["/v1/chat/completions", "/v1/files"])
def test_no_header_of_the_provider_becomes_two(door, provider, target, value):
    """CR alone ends no line (RFC 9112 2.2): whoever lets a client write one into a header has let it write no other."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Told: %s\r\nContent-Length: %d\r\n\r\n"
    provider.plays([head % (value, len(TEXT.whole)) + TEXT.whole])
    call = Call(door.port, ASK, target=target).rest()
    assert call.status == (502 if b"\r" in value else 200), call.got
    assert call.all("x-forged") == [] and b"\0" not in call.got and b"\x7f" not in call.got


def test_a_redirect_of_ours_stays_here(proxy, provider, decoy):
    """The page's form sends a browser to a path of ours, whatever the request says of hosts."""
    running = proxy(environ={"FORWARD_ADMIN_TOKEN": "token-0123456789"})
    headers = [("Content-Type", "application/x-www-form-urlencoded"), ("X-Forwarded-Host", decoy)]
    call = Call(running.port, b"token=token-0123456789", target="/_forward/login", host=decoy, headers=headers).rest()
    assert (call.status, call.header("location")) == (303, "/_forward/")
