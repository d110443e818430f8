"""Where requests go: every form of --url, every form of path, and never another host."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.upstream.address import read_address

CHAT, TEXT = "/chat/completions", "/completions"

# --url, the base it names, and the origin that unknown paths go to
BASES = [
    ("https://h/v1/chat/completions", "https://h/v1", "https://h"),
    ("https://h/v1/chat/completions/", "https://h/v1", "https://h"),
    ("https://h/v1/completions", "https://h/v1", "https://h"),
    ("https://h/v1/embeddings", "https://h/v1", "https://h"),
    ("https://h/v1/responses", "https://h/v1", "https://h"),
    ("https://h/v1", "https://h/v1", "https://h"),
    ("https://h/v1/", "https://h/v1", "https://h"),
    ("https://h/v1//", "https://h/v1", "https://h"),
    ("https://h", "https://h/v1", "https://h"),
    ("https://h/", "https://h/v1", "https://h"),
    ("http://h:8000", "http://h:8000/v1", "http://h:8000"),
    ("https://h/chat/completions", "https://h", "https://h"),
    ("https://h/compatible-mode/v1/chat/completions", "https://h/compatible-mode/v1", "https://h"),
    ("https://h/compatible-mode/v1", "https://h/compatible-mode/v1", "https://h"),
    ("https://h/api/v3", "https://h/api/v3", "https://h"),
    ("https://h/api/v3/chat/completions", "https://h/api/v3", "https://h"),
    ("https://h/api/paas/v4/", "https://h/api/paas/v4", "https://h"),
    ("https://h/v1beta/openai/", "https://h/v1beta/openai", "https://h"),
    ("https://h/api", "https://h/api", "https://h"),
    ("https://h/a%2Fb/v1", "https://h/a%2Fb/v1", "https://h"),
    ("https://h/caf\xe9/v1", "https://h/caf%C3%A9/v1", "https://h"),
    ("HTTPS://H.Example:0443/V1", "https://h.example:443/V1", "https://h.example:443"),
    ("https://h/v1/chat/completions#there", "https://h/v1", "https://h"),
    ("http://[::1]:11434/v1", "http://[::1]:11434/v1", "http://[::1]:11434"),
    ("http://m\xfcnchen.example/v1", "http://xn--mnchen-3ya.example/v1", "http://xn--mnchen-3ya.example"),
    (" https://h/v1 ", "https://h/v1", "https://h"),
    ("demo:", "demo:/v1", "demo:"),
    ("demo:/v1/chat/completions", "demo:/v1", "demo:"),
    ("demo://", "demo:/v1", "demo:"),
    ("demo://v1/chat/completions", "demo:/v1", "demo:"),
    ("DEMO:", "demo:/v1", "demo:"),
]


@pytest.mark.parametrize("url, base, origin", BASES)
def test_every_form_of_url_names_a_base_and_an_origin(url, base, origin):
    address = read_address(url)
    assert (address.origin, address.where) == (origin, base)
    assert address.endpoint(CHAT) == base + CHAT
    assert address.endpoint(TEXT) == base + TEXT
    assert address.target("/v1/models", "") == address.target("/models", "") == base + "/models"
    assert address.target("/health", "") == origin + "/health"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "h/v1",
        "localhost:8000",
        "ftp://h/v1",
        "https://",
        "https:///v1",
        "https://h:99999/",
        "https://h:http/",
        "https://[::1/v1",
        "https://h/a b",
        "https://h/\r\nx",
        "https://h\\@evil.example/",
        "https://a b/",
        "https://user@/v1",
        "file:///etc/passwd",
        "http://ex\\ample/v1",
        "http://%zz/v1",
        "http://[fe80::1%25eth0]/v1",
        "http://[1:2]/v1",
        "http://.\xe9/v1",
        "http://a..b/v1",
        "http://" + "a" * 64 + ".example/v1",
        "http://a,b/v1",
        "http://h:\u0662/v1",
    ],
)
def test_what_is_no_url_of_a_provider_is_refused_in_one_line(url):
    with pytest.raises(ValueError) as caught:
        read_address(url)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "path, want",
    [
        ("/v1/models", "/base/v1/models"),
        ("/models", "/base/v1/models"),
        ("/v1/v1/models", "/base/v1/models"),
        ("/v1", "/base/v1"),
        ("/v1/", "/base/v1/"),
        ("/v1/anything/else", "/base/v1/anything/else"),
        ("/v1beta/models", "/v1beta/models"),
        ("/v10/models", "/v10/models"),
        ("/chat/completions/abc/messages", "/base/v1/chat/completions/abc/messages"),
        ("/v1/chat/completions/abc", "/base/v1/chat/completions/abc"),
        ("/modelsandmore", "/modelsandmore"),
        ("/base/v1/models", "/base/v1/models"),
        ("/tokenize", "/tokenize"),
        ("/v1/models/org%2Fname:tag", "/base/v1/models/org%2Fname:tag"),
        ("/v1/models/ft:gpt-4o:org::id", "/base/v1/models/ft:gpt-4o:org::id"),
        ("/v1/a//b", "/base/v1/a//b"),
        ("/v1/../../x", "/base/v1/../../x"),
        ("/v1%2Fmodels", "/v1%2Fmodels"),
        ("//evil.example/x", "//evil.example/x"),
        ("http://evil.example/v1/models", "/base/v1/models"),
        ("https://evil.example", "/"),
        ("HTTP://evil.example:80@x/models", "/base/v1/models"),
        ("http:/evil.example/x", "/http:/evil.example/x"),
        ("@evil.example/x", "/@evil.example/x"),
        (":80/x", "/:80/x"),
        (".evil.example/x", "/.evil.example/x"),
        ("/\\evil.example", "/%5Cevil.example"),
        ("*", "/*"),
        ("", "/"),
        ("/a?b", "/a%3Fb"),
        ("/a#b", "/a%23b"),
        ("/a\r\n\x00\x7fb c", "/a%0D%0A%00%7Fb%20c"),
        ("/caf\xc3\xa9", "/caf%C3%A9"),
        ("/\u20ac", "/%E2%82%AC"),
    ],
)
def test_every_form_of_path_becomes_a_path_of_the_provider(path, want):
    assert read_address("https://h.example/base/v1").target(path, "") == "https://h.example" + want


@pytest.mark.parametrize(
    "fixed, given_query, want",
    [
        ("", "", ""),
        ("", "a=1&a=2", "?a=1&a=2"),
        ("api-version=1", "", "?api-version=1"),
        ("api-version=1", "limit=2", "?api-version=1&limit=2"),
        ("api-version=1&key=k", "api-version=2", "?key=k&api-version=2"),
        ("a=1&a=2", "b", "?a=1&a=2&b"),
        ("", "include[]=a&x=%2F%zz", "?include[]=a&x=%2F%zz"),
        ("", "a=b c#d\r\n", "?a=b%20c%23d%0D%0A"),
        ("", "?", "??"),
    ],
)
@pytest.mark.parametrize("form", ["/deployments/name", "/deployments/name/chat/completions"])
def test_the_query_of_the_url_is_kept_and_the_clients_stays_as_it_is(form, fixed, given_query, want):
    address = read_address("https://h/openai" + form + ("?" + fixed if fixed else ""))
    assert address.target("/models", given_query) == "https://h/openai/deployments/name/models" + want
    assert address.endpoint(CHAT, given_query) == "https://h/openai/deployments/name/chat/completions" + want


@pytest.mark.parametrize(
    "userinfo, credential",
    [
        ("me:pass", "Basic bWU6cGFzcw=="),
        ("me", "Basic bWU6"),
        ("me:p%40s", "Basic bWU6cEBz"),
        ("a:b@c", "Basic YTpiQGM="),
    ],
)
def test_userinfo_becomes_a_credential_and_is_in_no_url(userinfo, credential):
    address = read_address(f"https://{userinfo}@h:81/v1?key=secret")
    assert address.credential == credential
    assert (address.where, address.authority) == ("https://h:81/v1", "h:81")
    assert address.target("/x", "") == "https://h:81/x?key=secret"


nasty = st.text(st.characters(max_codepoint=0x2FF) | st.sampled_from("/\\@:#?%.&[]\r\n\t\x00 "), max_size=30)
paths = nasty | st.builds(
    "".join, st.lists(st.sampled_from(["/", "//", "..", "v1", "http:", "@", "evil.example", "\\", "%2f", ":80", "?"]))
)


@settings(max_examples=400, deadline=None)
@given(path=paths, query=nasty, base=st.sampled_from(["http://h.example:81", "http://h.example:81/a/v1?x=y"]))
def test_nothing_in_a_request_changes_the_host(path, query, base):
    url = read_address(base).target(path, query)
    assert url.startswith("http://h.example:81/")
    assert urlsplit(url).netloc == "h.example:81"
    assert url.isascii() and url.isprintable() and " " not in url
    assert "/v1/v1/" not in url or "/v1/v1/" in path


@settings(max_examples=200, deadline=None)
@given(path=st.text(st.sampled_from("/abv1.%2fF:~-_[]@"), max_size=20), query=st.text(st.sampled_from("a=&%[]+./?:")))
def test_what_is_legal_in_a_path_and_a_query_stays_as_it_is(path, query):
    url = read_address("http://h/base").target("/x/" + path, query)
    assert url == "http://h/x/" + path + ("?" + query if query else "")
