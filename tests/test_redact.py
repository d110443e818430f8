"""Credentials: found where they are, taken out wherever they turn up, and nothing else touched."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.journal import CLIENT_FILE, PROVIDER_FILE, Journal, Record, fingerprint, hide, hide_in_urls, secrets_of
from proxy.journal.line import spell
from proxy.journal.redact import REDACTED, SHORTEST, Needles

KEY = "sk-canary/0123+456=789"
MARK = f"[key:{fingerprint(KEY)}]"


# --- where credentials are

BASIC = base64.b64encode(b"user:hunter22").decode()
HEADERS = [
    ("Authorization", f"Bearer {KEY}", (KEY,)),
    ("authorization", "invalid_key", ("invalid_key",)),
    ("Authorization", f"bearer  {KEY} ", (KEY,)),
    ("Authorization", f"Basic {BASIC}", (BASIC, "hunter22", "user:hunter22")),
    ("Authorization", "Basic not-base64!", ("not-base64!",)),
    ("Proxy-Authorization", "Bearer abc", ("abc",)),
    ("X-API-Key", "k1", ("k1",)),
    ("api-key", "k2", ("k2",)),
    ("x-goog-api-key", "k3", ("k3",)),
    ("Ocp-Apim-Subscription-Key", "k4", ("k4",)),
    ("X-Auth-Token", "t", ("t",)),
    ("Cookie", 'sid=abc; theme="dark"', ("abc", "dark")),
    ("Set-Cookie", "sid=abc; Path=/; HttpOnly", ("abc", "/")),
    ("Authorization", "", ()),
    ("Authorization", "Bearer ", ()),
    ("Authorization", "Bearer bearer", ()),
    ("Content-Type", "application/json", ()),
    ("x-ratelimit-remaining-tokens", "149984", ()),
    ("Idempotency-Key", "stainless-python-retry-1", ()),
    ("Host", "example.com", ()),
]


@pytest.mark.parametrize("name, value, want", HEADERS)
def test_a_header_gives_its_credentials(name, value, want):
    assert secrets_of([(name, value)]) == want


@pytest.mark.parametrize(
    "query, want",
    [
        ("key=AIza-1&alt=sse", ("AIza-1",)),
        ("a=b&api_key=x%2Fy", ("x%2Fy", "x/y")),
        ("access_token=t&api-key=u;apikey=v", ("t", "u", "v")),
        ("X-Amz-Signature=s", ("s",)),
        ("q=key&monkey=1&keys=2", ()),
        ("key", ()),
        ("", ()),
    ],
)
def test_a_query_gives_its_credentials(query, want):
    assert secrets_of(query=query) == want


@pytest.mark.parametrize(
    "url, want",
    [
        ("https://user:p%40ss@host/v1?key=k", ("p%40ss", "user:p%40ss", "p@ss", "user:p@ss", "k")),
        ("https://sk-only@host", ("sk-only",)),
        ("https://host/v1", ()),
        ("http://[broken", ()),
        (None, ()),
    ],
)
def test_a_url_gives_its_credentials(url, want):
    assert secrets_of(urls=[url]) == want


def test_known_keys_come_first_and_each_credential_once():
    assert secrets_of([("x-api-key", "a")], keys=["b", None, "", " a "]) == ("b", "a")


# --- exact credentials

SPELLED = [
    KEY,
    json.dumps(KEY)[1:-1],
    json.dumps(KEY).replace("/", "\\/"),
    quote(KEY, safe=""),
    quote(KEY, safe="").lower().replace("sk-canary", "sk-canary"),
    base64.b64encode(KEY.encode()).decode(),
    base64.b64encode(f"{KEY}:".encode()).decode(),
    base64.b64encode(f":{KEY}".encode()).decode(),
    f"Bearer {KEY}",
    f"Incorrect API key provided: {KEY}. You can find",
]


def lines(tmp_path, secrets=(), **fields):
    journal = Journal(tmp_path, secrets)
    journal.write(Record(**fields))
    journal.close()
    return [(tmp_path / name).read_text() for name in (CLIENT_FILE, PROVIDER_FILE)]


@pytest.mark.parametrize("spelled", SPELLED)
@pytest.mark.parametrize("whose", ["settings", "exchange"])
def test_a_credential_is_replaced_in_every_spelling_and_every_field(tmp_path, spelled, whose):
    told = {"secrets": (KEY,)} if whose == "settings" else {}
    record = Record(
        secrets=() if told else (f"Bearer {KEY}",),
        path=f"/v1/x?z={spelled}",
        model=spelled,
        client_input={spelled: [spelled]},
        client_output=json.dumps({"error": {"message": f"no {spelled}!"}}).encode(),
        provider_input=spelled,
        provider_output=f"data: {spelled}\n".encode(),
        error={"message": f"a{spelled}", "code": spelled},
        answered_model=spelled,
        usage={spelled: spelled},
    )
    record.attempted("stream", 401, spelled, 1)
    journal = Journal(tmp_path, **told)
    journal.write(record)
    for name in (CLIENT_FILE, PROVIDER_FILE):
        text = (tmp_path / name).read_text()
        assert not any(leak in text for leak in ("canary", "Y2FuYXJ5", "Njg5", "456=789"))
        assert text.count(MARK) >= 6
        json.loads(text)
    journal.close()


def test_unicode_escapes_hide_no_credential(tmp_path):
    hidden = '{"a": "' + "".join(f"\\u{ord(char):04x}" for char in KEY) + '"}'
    for text in lines(tmp_path, [KEY], client_input=hidden.encode(), provider_input=hidden.encode()):
        assert json.loads(text)["input"] == {"a": MARK}


@pytest.mark.parametrize("secret", ["pässwörd-1", 'quote"back\\slash', "tab\tand\u2028x"])
def test_unusual_credentials_are_found_behind_their_escapes(tmp_path, secret):
    nested = json.dumps({"a": json.dumps({"b": secret})}).encode()
    for text in lines(tmp_path, [secret], client_input=nested, provider_input={"a": secret}):
        assert fingerprint(secret) in text
        assert secret not in json.dumps(json.loads(text), ensure_ascii=False)


@pytest.mark.parametrize("digits", ["17123456", "00000000", "99999999"])
def test_numbers_stay_numbers(tmp_path, digits):
    value = {"created": int(digits + "99"), "x": [1.0, int("1" + digits)], "text": f"n{digits}"}
    line = json.loads(lines(tmp_path, [digits], client_input=value)[0])
    assert (line["input"]["created"], line["input"]["x"]) == (value["created"], value["x"])
    assert digits not in line["input"]["text"]


@pytest.mark.parametrize(
    "secret", ["stream", "non_stream", "complete", "outcome", "timestamp", "logging_id", "POST", "null", "2", "-", ":"]
)
def test_our_own_words_survive_a_credential_of_the_same_spelling(tmp_path, secret):
    record = {"client_input": {"stream": True, "key": secret}, "outcome": "complete", "return_mode": "stream"}
    line = json.loads(lines(tmp_path, [secret], method="POST", send_mode="non_stream", **record)[0])
    assert (line["outcome"], line["return_mode"], line["send_mode"]) == ("complete", "stream", "non_stream")
    assert line["method"] == "POST"
    assert line["input"]["stream"] is True
    assert line["input"]["key"] != secret


SHORT = [
    ("ollama", "ollama", REDACTED),
    ("ollama", "Bearer ollama", REDACTED),
    ("ollama", "I run ollama at home", "I run ollama at home"),
    ("ollama", "Incorrect API key provided: ollama.", f"Incorrect API key provided: {REDACTED}."),
    ("ollama", "invalid bearer ollama!", f"invalid bearer {REDACTED}!"),
    ("ollama", '{"api_key": "ollama"}', f'{{"api_key": "{REDACTED}"}}'),
    ("ollama", "key: ollama-2", "key: ollama-2"),
    ("a", "a cat: a key is a key", "a cat: a key is a key"),
    ("a", "a", REDACTED),
    ("ollama", "Invalid API key 'ollama'", f"Invalid API key '{REDACTED}'"),
    ("ollama", "key:\nollama", f"key:\n{REDACTED}"),
    ("test123", "test1234", "test1234"),
    ("test123", "your key test123 is wrong", f"your key {REDACTED} is wrong"),
    ("abc-12", "\u2014abc-12\u2014 (abc-12)\nabc-12", f"\u2014{REDACTED}\u2014 ({REDACTED})\n{REDACTED}"),
    ("abc-12", "Bearer%20abc-12", f"Bearer%20{REDACTED}"),
    ("abc-12", "abc-123 xabc-12 abc-12-", "abc-123 xabc-12 abc-12-"),
    ("k-1", "k-1 is short", "k-1 is short"),
]


@pytest.mark.parametrize("secret, text, want", SHORT)
def test_a_short_credential_is_replaced_only_where_it_is_meant(tmp_path, secret, text, want):
    line = json.loads(lines(tmp_path, [secret], client_input={"text": text})[0])
    assert line["input"]["text"] == want


@pytest.mark.parametrize("front", ["", ":", "u:", "key", "Bearer "])
@pytest.mark.parametrize("back", ["", "x", "xy", "xyz"])
def test_base64_hides_no_credential_wherever_it_stands_in_it(front, back):
    key = "sk-\xff\xfe>>>???canary"
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        said = encode(f"{front}{key}{back}".encode()).decode()
        cleaned = Needles((key,)).clean(f"it was {said}")
        assert "[key:" in cleaned and len(cleaned) < len(said), (said, cleaned)


@pytest.mark.parametrize("secret", ["", " ", "Bearer", "Bearer "])
def test_an_empty_credential_replaces_nothing(tmp_path, secret):
    line = json.loads(lines(tmp_path, [secret], client_input={"a": "one two Bear"})[0])
    assert line["input"] == {"a": "one two Bear"}


def test_what_is_said_stays_untouched_where_no_exact_credential_is(tmp_path):
    said = "curl -H 'Authorization: Bearer sk-someone-elses-0123456789' https://u:p@h/?key=abc"
    line = json.loads(lines(tmp_path, [KEY], client_input={"content": said})[0])
    assert line["input"]["content"] == said


def test_paths_and_error_texts_lose_what_stands_under_known_names(tmp_path):
    told = {"path": "/v1/m?key=AIza1&alt=sse", "error": {"message": "GET https://u:p@h/v1?api_key=zz failed"}}
    line = json.loads(lines(tmp_path, **told)[0])
    assert line["path"] == f"/v1/m?key={REDACTED}&alt=sse"
    assert line["error"]["message"] == f"GET https://{REDACTED}@h/v1?api_key={REDACTED} failed"


TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
SECRETS = st.text(alphabet='abcXYZ019-_./+="\\é漢', min_size=SHORTEST, max_size=20)


@settings(max_examples=100, deadline=None)
@given(TREES, SECRETS, st.text(), st.text())
def test_no_tree_shows_a_credential_and_every_tree_stays_json(tree, secret, before, after):
    tree = [tree, f"{before}{secret}{after}", {f"{before}{secret}": 1}]
    needles, data = Needles((secret,)), spell(tree)[0]
    assert needles.found_in(data)
    assert not any(secret in text for text in strings(json.loads(needles.clean_json(data))))


def strings(value):
    if isinstance(value, str):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from strings(item)
    if isinstance(value, dict):
        yield from value


# --- text of our own that holds headers and URLs

HIDDEN = [
    ("Authorization: Bearer abc", f"Authorization: {REDACTED}"),
    ("{'Authorization': 'Bearer abc', 'Host': 'h'}", f"{{'Authorization': '{REDACTED}', 'Host': 'h'}}"),
    ("[('X-Api-Key', 'abc'), ('A', 'b')]", f"[('X-Api-Key', '{REDACTED}'), ('A', 'b')]"),
    ("[(b'api-key', b'abc')]", f"[(b'api-key', b'{REDACTED}')]"),
    ("x-goog-api-key=abc x=1", f"x-goog-api-key={REDACTED} x=1"),
    ("Cookie: a=b; c=d", f"Cookie: {REDACTED}"),
    ("{'Set-Cookie': 'a=b; Path=/', 'X': 1}", f"{{'Set-Cookie': '{REDACTED}', 'X': 1}}"),
    ("GET /v1?key=abc&x=1 HTTP/1.1", f"GET /v1?key={REDACTED}&x=1 HTTP/1.1"),
    ("url: /v1?access_token=abc (Caused by", f"url: /v1?access_token={REDACTED} (Caused by"),
    ("http://user:pass@proxy:3128/", f"http://{REDACTED}@proxy:3128/"),
    ("said Bearer abc123", f"said Bearer {REDACTED}"),
    ("Incorrect API key provided: sk-proj-abcdefgh1", f"Incorrect API key provided: {REDACTED}"),
    ("Authorization: Bearer [key:ab12cd] x", "Authorization: Bearer [key:ab12cd] x"),
    ("Cookie: a=[key:ab12cd]; pw=abc", f"Cookie: {REDACTED}"),
    (
        "'Authorization': 'Bearer [key:ab12cd]', 'api-key': 'x'",
        f"'Authorization': 'Bearer [key:ab12cd]', 'api-key': '{REDACTED}'",
    ),
    ("https://[key:ab12cd]:pw@h/", f"https://{REDACTED}@h/"),
    ("https://[key:ab12cd]:[key:ab12cd]@h/", "https://[key:ab12cd]:[key:ab12cd]@h/"),
    (f"?key={REDACTED}&a=1", f"?key={REDACTED}&a=1"),
    ("x-ratelimit-remaining-tokens: 5", "x-ratelimit-remaining-tokens: 5"),
    ("unexpected bearer of news, basic english", "unexpected bearer of news, basic english"),
    ("path=/v1/chat/completions status=200 max_tokens=5", "path=/v1/chat/completions status=200 max_tokens=5"),
]


@pytest.mark.parametrize("text, want", HIDDEN)
def test_values_under_known_names_are_hidden_in_log_lines(text, want):
    assert hide(text) == want
    assert hide(want) == want


def test_only_urls_are_looked_at_where_people_may_have_spoken():
    assert hide_in_urls("Authorization: Bearer abc1") == "Authorization: Bearer abc1"


@pytest.mark.parametrize("text", ["key" * 20_000, "a-" * 30_000, "Bearer " + " " * 60_000, "?" + "token" * 12_000])
def test_no_text_takes_long_to_look_through(text):
    assert hide(text) and Needles(("abc", KEY)).clean(text) == text
