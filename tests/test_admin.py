"""Who may see the operator's pages, rule by rule, over real sockets."""

from __future__ import annotations

import re
import time
from urllib.parse import urlencode

import pytest
from proxy_process import ProxyProcess
from raw_client import Call
from witness import ask

from proxy.routes import tokens
from proxy.routes.tokens import TRIES, Tries, cookie_for, is_cookie

HERE = "127.0.0.1"
TOKEN = "token-canary-0123456789"
PAGE = "/_forward/api/health"


def get(running, *headers, target=PAGE, host=HERE, method="GET", body=b""):
    """One request for a page of ours."""
    return Call(running.port, body, method=method, target=target, headers=headers, host=host).rest()


@pytest.fixture(scope="module")
def _with_token(_provider, tmp_path_factory):
    environ = {"FORWARD_ADMIN_TOKEN": TOKEN}
    settings = {"expose_host": "0.0.0.0", "cors": "*"}
    one = ProxyProcess.app(_provider.url, tmp_path_factory.mktemp("token"), settings, environ)
    one.until(lambda: any("listening on" in line for line in one.out), 15, "it does not listen")
    one.port = int(re.findall(r"listening on http://0\.0\.0\.0:(\d+)", "".join(one.out))[0])
    yield one.ready()
    one.stop(clean=False)


@pytest.fixture()
def with_token(_with_token):
    """A proxy that others can reach and that has a token."""
    return _with_token


def test_this_machine_comes_in_without_a_token_where_only_it_can_ask(proxy, provider):
    for host in (HERE, f"{HERE}:58080", "localhost", "LOCALHOST:1", "[::1]:80", "page.localhost"):
        assert get(proxy(), host=host).status == 200, host


@pytest.mark.parametrize("name", ["X-Forwarded-For", "x-forwarded-host", "Forwarded", "Via", "X-Real-IP"])
def test_what_somebody_has_forwarded_does_not_come_from_this_machine(proxy, provider, name):
    call = get(proxy(), (name, HERE))
    assert (call.status, call.error["code"]) == (403, "forbidden") and "--admin_token" in call.error["message"]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example", ""]
)
def test_a_foreign_name_that_resolves_to_this_machine_is_no_name_of_it(proxy, provider, host):
    assert get(proxy(), host=host).status == 403


def test_a_proxy_that_others_can_reach_wants_a_token_from_this_machine_too(with_token):
    assert get(with_token).status == 401
    assert get(with_token, ("Authorization", f"Bearer {TOKEN}")).status == 200


def test_where_there_is_no_token_none_is_asked_for_and_none_is_right(proxy, provider):
    for body in (b"token=", b"token=None", b"token=none"):
        assert get(proxy(), target="/_forward/login", method="POST", body=body).status == 403
    assert get(proxy(), ("Via", "1.1 x"), ("Authorization", "Bearer None"), ("Accept", "text/html")).status == 403


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/_forward/healthz", "/_forward/readyz"])
def test_health_is_open_to_all(with_token, path):
    assert get(with_token, ("X-Forwarded-For", "1.2.3.4"), target=path, host="evil.example").status == 200


@pytest.mark.parametrize("header", ["Bearer wrong", "Bearer", "Basic " + TOKEN, TOKEN, "Bearer Ü"])
def test_a_wrong_token_is_refused_and_not_repeated(with_token, header):
    call = get(with_token, ("Authorization", header), ("X-Real-IP", "1.1.1.1"))
    assert call.status == 401 and call.header("WWW-Authenticate") == "Bearer"
    assert "wrong" not in call.error["message"] and TOKEN not in call.got.decode("latin-1")


def test_the_token_is_typed_once_and_a_cookie_stands_for_it_that_does_not_tell_it(with_token):
    form = get(with_token, ("Accept", "text/html"), target="/_forward/")
    assert form.status == 401 and b'action="/_forward/login"' in form.content
    typed = urlencode({"token": TOKEN}).encode()
    came = get(with_token, ("Origin", f"http://{HERE}"), target="/_forward/login", method="POST", body=typed)
    assert (came.status, came.header("Location")) == (303, "/_forward/")
    cookie, *words = [word.strip() for word in came.header("Set-Cookie").split(";")]
    assert {"HttpOnly", "SameSite=Strict", "Path=/_forward/"} <= set(words) and TOKEN not in cookie
    assert get(with_token, ("Cookie", cookie), ("X-Forwarded-For", "1.2.3.4"), host="proxy.example").status == 200
    assert get(with_token, ("Cookie", cookie[:-1] + ("0" if cookie[-1] != "0" else "1"))).status == 401
    gone = get(with_token, ("Cookie", cookie), target="/_forward/logout", method="POST")
    assert gone.status == 303 and "Max-Age=0" in gone.header("Set-Cookie")


def test_the_cookie_is_for_encrypted_connections_only_where_the_page_came_over_one(with_token):
    typed = urlencode({"token": TOKEN}).encode()
    came = get(with_token, ("X-Forwarded-Proto", "https"), target="/_forward/login", method="POST", body=typed)
    assert "Secure" in came.header("Set-Cookie")


@pytest.mark.parametrize("body", [b"token=wrong", b"x" * 5000])
def test_a_wrong_token_in_the_form_is_asked_for_again(with_token, body):
    call = get(with_token, ("Accept", "text/html"), target="/_forward/login", method="POST", body=body)
    assert call.status == 401 and not call.header("Set-Cookie") and b"<form" in call.content


@pytest.mark.parametrize(
    "header",
    [
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        ("Origin", "http://127.0.0.1:1"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ],
)
def test_no_page_of_another_origin_makes_anything_happen(proxy, with_token, provider, header):
    for running, more in ((proxy(), ()), (with_token, [("Authorization", f"Bearer {TOKEN}")])):
        for target in ("/_forward/api/exchanges/x/cancel", "/_forward/login", "/_forward/logout"):
            call = get(running, header, *more, target=target, method="POST")
            assert (call.status, call.error["code"]) == (403, "foreign_origin"), target


def test_our_own_page_may_ask_for_something_to_happen(proxy, provider):
    for origin in (f"http://{HERE}", f"https://{HERE}"):
        call = get(proxy(), ("Origin", origin), target="/_forward/api/exchanges/x/cancel", method="POST")
        assert call.status == 404 and "logging_id" in call.error["message"]


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "POST"])
def test_cors_never_opens_the_operators_pages(with_token, method):
    asks = [("Origin", "https://evil.example"), ("Access-Control-Request-Method", "GET")]
    call = get(with_token, *asks, ("Authorization", f"Bearer {TOKEN}"), method=method)
    assert not [line for line in call.head.lower().splitlines() if line.startswith("access-control-")]


@pytest.mark.parametrize("target", [PAGE, "/_forward/", "/_forward/nothing", "/_forward/healthz"])
def test_every_page_of_ours_has_the_headers_that_keep_it_to_itself(proxy, provider, target):
    call = get(proxy(), target=target)
    policy = call.header("Content-Security-Policy")
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert call.header("X-Content-Type-Options") == "nosniff" and call.header("Cache-Control") == "no-store"
    assert call.header("Referrer-Policy") == "same-origin"


def test_the_token_reaches_neither_the_journal_nor_the_log(with_token, provider, model):
    provider.plays([b"HTTP/1.1 401 No\r\nContent-Length: %d\r\n\r\n%s" % (len(TOKEN), TOKEN.encode())])
    Call(with_token.port, ask(model), headers=[("Authorization", f"Bearer {TOKEN}")]).rest()
    with_token.record(model=model)
    written = "".join(path.read_text() for path in with_token.folder.iterdir())
    assert model in written and TOKEN not in written + with_token.stderr + "".join(with_token.out)


def test_an_address_that_waited_may_try_again_and_others_need_not_wait(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(tokens, "monotonic", lambda: now[0])
    tries = Tries()
    for _ in range(TRIES):
        assert tries.wait("a") == 0
        tries.wrong("a")
    assert tries.wait("a") == tokens.WINDOW and tries.wait("b") == 0
    now[0] += tokens.WINDOW
    assert tries.wait("a") == 0


def test_an_attack_from_very_many_addresses_makes_all_of_them_wait():
    tries = Tries()
    for number in range(tokens.PEERS):
        tries.wrong(str(number))
    assert tries.wait("another") > 0


def test_a_cookie_is_good_for_its_token_and_its_time_only(monkeypatch):
    cookie = cookie_for(TOKEN)
    assert is_cookie(cookie, TOKEN) and not is_cookie(cookie, "other") and TOKEN not in cookie
    until, _, seal = cookie.partition(".")
    for forged in ("", ".", seal, f"{int(until) + 1}.{seal}", f"{until}.", f"{until}.{seal}x", "\udcff.é"):
        assert not is_cookie(forged, TOKEN), forged
    later = time.time() + tokens.LIFETIME + 1
    monkeypatch.setattr(tokens, "time", lambda: later)
    assert not is_cookie(cookie, TOKEN)


def test_too_many_wrong_tokens_of_one_address_make_it_wait(with_token):  # the last one: nobody comes in afterwards
    def tried():
        return get(with_token, ("Authorization", "Bearer wrong")).status

    assert 429 in [tried() for _ in range(TRIES + 1)]
    call = get(with_token, ("Authorization", f"Bearer {TOKEN}"))
    assert (call.status, call.error["code"]) == (429, "too_many_tries")
    assert 1 <= int(call.header("Retry-After")) <= 61
    assert get(with_token, ("Cookie", f"forward_admin={cookie_for(TOKEN)}")).status == 200
