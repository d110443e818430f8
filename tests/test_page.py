"""What the traffic page asks of the proxy: its files, its stream of news, single exchanges, and asking again."""

from __future__ import annotations

import ast
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import KEY
from provider import Stall
from proxy_process import ProxyProcess, bare_environment
from raw_client import Call, events
from stories import HELLO, OPENING, REASONING, SHORT, SHORT_STREAM, STREAM_HEAD, TEXT, TOOLS, chunk, tells, token, whole
from witness import ask

from proxy.dialects import DIALECTS
from proxy.dialects.parameters import METHODS
from proxy.viewer.differences import differences
from proxy.viewer.feed import KEPT, MOST_ROWS, Feed
from proxy.viewer.recipes import Recorded, curl, python
from proxy.viewer.repeat import why_not
from proxy.viewer.talk import answered, asked, dialect_of
from proxy.viewer.view import LARGEST, _stream

HERE = "127.0.0.1"
MID = [STREAM_HEAD, chunk(OPENING), chunk(token(b"one")), Stall()]
STATIC = Path(__file__).resolve().parent.parent / "proxy" / "viewer" / "static"


def own(running, target, method="GET", value=None, *headers):
    """A request for a page of ours."""
    body = b"" if value is None else json.dumps(value).encode()
    return Call(
        running.port, body, method=method, target=f"/_forward/{target}", host=f"{HERE}:{running.port}", headers=headers
    ).rest()


def served(running, provider, model, *, path="/v1/chat/completions", headers=(), script=SHORT, **more):
    """One exchange that was served, by its id."""
    provider.plays(script if isinstance(script, list) else [script])
    call = Call(running.port, ask(model, **more), target=path, headers=headers).rest()
    running.record(logging_id=call.header("x-logging-id"))
    return call.header("x-logging-id")


def view(running, one, **query):
    """What there is to show of an exchange, once both its lines are in the index."""
    target = f"api/exchanges/{one}/view" + "".join(f"?{name}={value}" for name, value in query.items())

    def found():
        told = own(running, target)
        assert told.status == 200, told.got
        return told.json if told.json["client"] and told.json["provider"] else None

    return running.until(found, 30, "its lines are not taken in")


# -- the page and its files


def test_the_page_needs_nothing_from_elsewhere_and_says_so(proxy):
    told = own(proxy(), "")
    policy = dict(part.strip().partition(" ")[::2] for part in told.header("content-security-policy").split(";"))
    assert (told.status, told.header("content-type")) == (200, "text/html; charset=utf-8")
    assert policy["default-src"] == "'none'" and policy["script-src"] == policy["style-src"] == "'self'"
    text = told.content.decode()
    named = re.findall(r'\b(?:src|href|action)="([^"]*)"', text)
    assert len(named) > 5 and not [one for one in named if "//" in one or one.startswith("/")]
    assert "<style" not in text and not re.search(r"<[^>]+ (?:style|on\w+)=", text)


def test_every_file_that_the_page_names_is_there_and_is_not_sent_twice(proxy):
    running = proxy()
    for path in STATIC.iterdir():
        told = own(running, f"static/{path.name}")
        assert told.status == 200 and told.content == path.read_bytes()
        assert own(running, f"static/{path.name}", "GET", None, ("If-None-Match", told.header("etag"))).status == 304
    assert own(running, "static/page.py").status == own(running, "static/..%2fpage.py").status == 404


def test_no_script_makes_markup_of_what_came_over_the_wire():
    ours = [path for path in STATIC.glob("*.js") if path.name != "uplot.js"]
    assert len(ours) > 8
    for path in ours:
        text = path.read_text("utf-8")
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "DOMParser"):
            assert word not in text, f"{path.name}: {word}"


def test_the_page_without_its_last_slash_is_the_page(proxy):
    told = Call(proxy().port, method="GET", target="/_forward", host=HERE).rest()
    assert (told.status, told.header("location")) == (308, "/_forward/")


@pytest.fixture(scope="module")
def secured(_provider, tmp_path_factory):
    """A proxy with secrets: a key for the provider, a key for its clients, a token for its operator."""
    environ = {
        "FORWARD_API_KEY": "sk-stored",
        "FORWARD_CLIENT_KEYS": "key-client",
        "FORWARD_ADMIN_TOKEN": "token-admin",
    }
    settings = {"timeout": 12345}
    one = ProxyProcess.app(_provider.url, tmp_path_factory.mktemp("secured"), settings, environ).ready(_provider.port)
    yield one
    one.stop()


def test_the_settings_in_force_are_shown_without_their_secrets(secured):
    text = own(secured, "").content.decode()
    assert re.search(r"<td>timeout</td><td>12345</td><td>[^<]*flag", text), text
    assert not re.search("sk-stored|key-client|token-admin", text)


def test_the_form_for_the_token_brings_its_own_style_and_the_page_stays_closed(secured):
    forwarded = ("Via", "x")
    form = own(secured, "", "GET", None, forwarded, ("Accept", "text/html"))
    assert form.status == 401 and b"/_forward/static/login.css" in form.content
    assert own(secured, "static/login.css", "GET", None, forwarded).status == 200
    for target in ("static/app.js", "live", "api/exchanges/x/view"):
        assert own(secured, target, "GET", None, forwarded).status == 401


# -- the stream of news


def news(page):
    """All events that have come so far."""
    blocks = page.content.split(b"\n\n")[:-1]
    lines = [dict(line.split(b": ", 1) for line in block.split(b"\n") if b": " in line) for block in blocks]
    return [(line[b"event"].decode(), json.loads(line[b"data"])) for line in lines if b"event" in line]


def looking(running):
    return Call(running.port, method="GET", target="/_forward/live", host=HERE)


def waited(page, true):
    """The first news that fits, waiting for more."""

    def found():
        return [value for name, value in news(page) if name == "news" and true(value)]

    page._wait(found, 15, "no such news")
    return found()[0]


def test_the_stream_tells_what_is_under_way_and_then_that_it_is_over(proxy, provider, model):
    running = proxy()
    provider.plays(MID)
    with looking(running) as page, Call(running.port, ask(model, True)) as call:
        call.until(b"one")
        told = waited(page, lambda value: any(row["model"] == model for row in value["live"]))
        [row] = [row for row in told["live"] if row["model"] == model]
        assert own(running, f"api/exchanges/{row['logging_id']}/view").json["under_way"]["model"] == model
        assert own(running, f"api/exchanges/{row['logging_id']}/cancel", "POST", {}).json == {"cancelled": True}
        assert events(call.rest())[-1]["error"]["code"] == "cancelled"
        over = waited(page, lambda value: any(row["model"] == model for row in value["rows"]))
        [ended] = [row for row in over["rows"] if row["model"] == model]
        assert (ended["logging_id"], ended["outcome"]) == (row["logging_id"], "cancelled")
        assert any(name == "health" and value["workers"] for name, value in news(page))


def test_a_page_that_has_gone_is_looked_for_no_longer_and_is_no_exchange(proxy, provider, model):
    running = proxy(max_exchanges=1, queue=0)
    pages = [looking(running) for _ in range(3)]
    for page in pages:
        page.until(b"event: health")
    served(running, provider, model)
    for page in pages:
        page.leave()

    def alone():
        with looking(running) as page:
            page.until(b"event: health")
            return [value["pages"] for name, value in news(page) if name == "health"][0] == 1

    running.until(alone, 15, "pages that have gone are still counted")
    assert {line["path"] for line in running.lines("client")} == {"/v1/chat/completions"}


def test_open_pages_do_not_hold_up_a_stop(provider, tmp_path):
    running = ProxyProcess.app(provider.url, tmp_path, {}, {}).ready(provider.port)
    with looking(running) as page:
        page.until(b"event: health")
        assert running.stop() == 0


def test_who_was_away_for_too_long_is_told_to_ask_for_the_list():
    feed = Feed(SimpleNamespace())
    for number in range(KEPT + 2):
        feed._tell("news", number)
    last, data = feed.news(0, 0.01)
    assert last == KEPT + 2 and data.startswith(b"event: lost\n") and data.count(b"event: news") == KEPT
    assert feed.news(last, 0.01) == (last, b"")


def test_news_are_the_rows_taken_in_since_the_mark(tmp_path):
    from journals import expect, ids, write

    from proxy.archive import Archive

    archive = Archive(tmp_path)
    write(tmp_path, range(3))
    assert archive.refresh()
    rows, mark = archive.news(None, MOST_ROWS)
    assert rows == []
    write(tmp_path, [9, 3, 4])
    assert archive.refresh()
    rows, mark = archive.news(mark, MOST_ROWS)
    assert sorted(ids(rows)) == sorted(expect(9, 3, 4))
    assert archive.news(mark, MOST_ROWS) == ([], mark) and archive.news(mark + 5, 9) == ([], mark)
    archive.close()


# -- one exchange


def test_one_exchange_has_four_panes_and_what_differs_between_them(proxy, provider, model):
    running = proxy(model_map="page-alias=page-model", log_frames=True, ask_usage=True)
    one = served(running, provider, "page-alias", script=SHORT_STREAM, stream=True)
    told = view(running, one)
    pair = running.record(logging_id=one)
    for side, line in (("client", pair.client), ("provider", pair.server)):
        assert json.loads(told[side]["ask"]["raw"]) == line["input"]
        assert json.loads(told[side]["answer"]["raw"]) == line["output"]
        assert told[side]["headers"] == line["headers"]
    assert told["asked"]["after"] == {"/model": "changed", "/stream_options": "added"}
    assert told["asked"]["before"] == {"/model": "changed"}
    assert [turn["role"] for turn in told["client"]["ask"]["chat"]["turns"]] == ["user"]
    assert told["client"]["answer"]["chat"]["turns"][0]["parts"] == [{"kind": "text", "text": "short"}]
    stream = told["stream"]
    assert len(stream["at"]) == len(stream["frames"]) and sum(stream["frames"]) == len(stream["texts"]) == 4
    assert stream["at"] == sorted(stream["at"]) and "".join(stream["texts"]).endswith("data: [DONE]\n\n")


@pytest.mark.parametrize("name", [name for name, dialect in DIALECTS.items() if dialect.read_prompt is None])
def test_every_dialects_conversation_is_told_in_one_form(name):
    dialect = DIALECTS[name]
    question = {"model": "m", "messages": [{"role": "system", "content": "Be brief."}, *HELLO], "max_tokens": 9}
    body = json.loads(dialect.write_chat(question, stream=False).body)
    talk = asked(dialect, body)
    assert [(turn["role"], turn["parts"]) for turn in talk["turns"]] == [
        ("system", [{"kind": "text", "text": "Be brief."}]),
        ("user", [{"kind": "text", "text": "Hello?"}]),
    ]
    reply = DIALECTS["openai"].read_reply(json.loads(TOOLS.whole))
    said = answered(dialect, dialect.write_reply(reply, ask=dialect.read_ask(json.dumps(body).encode())))
    [turn] = said["turns"]
    assert [(call["name"], json.loads(call["arguments"])) for call in turn["calls"]] == [
        (call.name, json.loads(call.arguments)) for call in reply.choices[0].calls
    ]


def test_reasoning_is_told_apart_and_a_failure_is_one():
    [turn] = answered(DIALECTS["openai"], json.loads(REASONING.whole))["turns"]
    assert turn["reasoning"] and turn["reasoning"] not in turn["parts"][0]["text"]
    assert answered(None, {"error": {"message": "no", "code": "x"}})["failure"]["code"] == "x"
    for body in (None, [], "text", {"choices": 7}, {"object": "list", "data": []}):
        answered(DIALECTS["openai"], body)
        asked(DIALECTS["openai"], body)
    assert dialect_of(None, "/v1/messages?beta=1").path == "/messages" and dialect_of(None, "/v1/files") is None


@pytest.mark.parametrize(
    ("before", "after", "gone", "come"),
    [
        ({"a": 1}, {"a": 1}, {}, {}),
        ({"a": 1}, {"a": True}, {"/a": "changed"}, {"/a": "changed"}),
        ({"a/b": 1}, {"~": 1}, {"/a~1b": "removed"}, {"/~0": "added"}),
        ([1, 2, 3], [2, 3, 4], {"/0": "removed"}, {"/2": "added"}),
        ([{"x": 1}], [{"x": 2}], {"/0/x": "changed"}, {"/0/x": "changed"}),
        ([{"x": 1}], {"x": 1}, {"": "changed"}, {"": "changed"}),
        (list(range(500)), list(range(501)), {}, {"/500": "added"}),
    ],
)
def test_what_differs_is_marked_at_its_place(before, after, gone, come):
    assert differences(before, after) == (gone, come)


def test_a_pane_that_is_too_large_is_shown_in_part(proxy, provider, model):
    running = proxy()
    one = served(running, provider, model, user="x" * 1_100_000)
    told = view(running, one)["client"]["ask"]
    assert told["cut"] and told["bytes"] > 1_100_000 and len(told["raw"]) == 100_000 and told["chat"] is None
    assert view(running, one)["asked"] is None and view(running, one)["recipes"] is None


def test_of_many_frames_those_are_told_that_a_pane_holds():
    clock = {"start": 1, "gaps": [[1, 2]], "frames": [[1, 3]]}
    assert _stream({"clock": clock, "frames": ["a", "b", "c"]})["texts"] == ["a", "b", "c"]
    told = _stream({"clock": clock, "frames": ["a", "b" * LARGEST, "c"]})
    assert told["texts"] == ["a"] and told["frames"] == [1, 1, 1]


# -- recipes


def test_the_recipes_do_what_was_done(proxy, provider, model):
    running = proxy()
    headers = [("Authorization", f"Bearer {KEY}"), ("X-Forward-Mode", "stream"), ("OpenAI-Organization", "it's")]
    text = 'it\'s $HOME `x` "q" \\ ünï\n</script>'
    more = {"own_parameter": [1, None], "enable_thinking": True, "top_k": 3, "prompt": "x"}  # OpenAI's library has none
    one = served(running, provider, model, headers=headers, script=SHORT_STREAM, user=text, **more)
    told = view(running, one)
    [heard] = provider.heard
    for name, words in (("curl", ["bash", "-c"]), ("python", [sys.executable, "-c"])):
        recipe = told["recipes"][name]
        assert KEY not in recipe and "OPENAI_API_KEY" in recipe
        if name == "python":
            pytest.importorskip("openai")
        provider.chooses(tells(TEXT))
        environ = {**bare_environment(), "OPENAI_API_KEY": "sk-another", "NO_PROXY": "*"}
        done = subprocess.run([*words, recipe], env=environ, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        again = provider.heard[-1]
        assert again.json == heard.json and again.target == heard.target, name
        assert again.header("authorization") == "Bearer sk-another" and again.header("openai-organization") == "it's"


def test_what_is_longer_than_a_word_of_a_command_may_be_is_pasted_all_the_same(proxy, provider, model):
    running = proxy()
    one = served(running, provider, model, user="it's " * 60_000)
    recipe = view(running, one)["recipes"]["curl"]
    provider.plays([SHORT])
    environ = {**bare_environment(), "OPENAI_API_KEY": "sk-another", "NO_PROXY": "*"}
    done = subprocess.run(["bash"], input=recipe + "\n", env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert provider.heard[1].json == provider.heard[0].json


@pytest.mark.parametrize(
    "method, target, flags",
    [
        ("GET", "/v1/models?a={b}&c=[1-3]", "-N -g "),
        ("GET", "/v1/files/../x", "-N --path-as-is "),
        ("HEAD", "/v1/models", "-N -I "),
        ("DELETE", "/v1/files/a..b", "-N -X DELETE "),
    ],
)
def test_curl_is_kept_from_doing_something_of_its_own(method, target, flags):
    asked = Recorded.of({"method": method, "path": target, "input": None, "headers": {"ask": []}})
    assert curl(asked, "http://h").startswith(f"curl {flags}")


def test_what_the_library_would_refuse_is_asked_without_it():
    openai = pytest.importorskip("openai")
    line = {"method": "POST", "path": "/v1/chat/completions", "client_dialect": "openai", "input": {"model": "m"}}
    assert "import requests" in python(Recorded.of(line), "http://h")
    for path, names in METHODS.items():
        method = {"/chat/completions": openai.resources.chat.Completions, "/completions": openai.resources.Completions}
        assert names <= set(inspect.signature(method[path].create).parameters)


def test_a_recipe_for_what_the_library_has_no_method_for_is_made_with_requests():
    headers = [["x-api-key", "[redacted]"], ["X-Version", "1"], ["User-Agent", "a"], ["Cookie", "[redacted]"]]
    line = {"method": "POST", "path": "/v1/messages?key=[redacted]&beta=1", "input": {"a": None}}
    asked = Recorded.of({**line, "headers": {"ask": headers}, "client_dialect": None})
    program, command = python(asked, "http://h"), curl(asked, "http://h")
    ast.parse(program)
    assert "'x-api-key': key" in program and "'http://h/v1/messages?beta=1'" in program and "User-Agent" not in program
    assert '"x-api-key: $OPENAI_API_KEY"' in command and "redacted" not in program + command


# -- asking again


def test_an_ask_is_asked_again_as_it_was_and_in_the_other_mode(proxy, provider, model):
    running = proxy()
    one = served(running, provider, model, headers=[("Authorization", f"Bearer {KEY}"), ("X-Custom", "kept")])
    for mode, stream in (("non_stream", None), ("stream", True)):
        provider.plays(SHORT_STREAM if stream else [SHORT])
        made = own(running, f"api/exchanges/{one}/replay", "POST", {"mode": mode, "key": "sk-pasted-canary"}).json
        heard = provider.heard[-1]
        assert made["status"] == 200 and made["logging_id"] != one
        assert heard.json["messages"] == provider.heard[0].json["messages"] and heard.json.get("stream") is stream
        assert heard.header("authorization") == "Bearer sk-pasted-canary" and heard.header("x-custom") == "kept"
        pair = running.record(logging_id=made["logging_id"])
        assert (pair.client["send_mode"], pair.client["return_mode"]) == (mode, "non_stream")
        compared = view(running, one, **{"with": made["logging_id"]})["compared"]
        assert "/choices/0/message/content" not in compared["after"]
    kept = "".join(
        path.read_text("utf-8", "replace") for path in running.folder.glob("*.*") if path.suffix != ".sqlite"
    )
    assert "sk-pasted-canary" not in kept + running.stderr + "".join(running.out)


def test_the_stored_key_is_used_where_none_is_pasted_and_the_operator_shows_no_client_key(secured, provider):
    one = served(secured, provider, "m", headers=[("Authorization", "Bearer key-client")])
    for key, sent in (("", "sk-stored"), ("sk-pasted", "sk-pasted")):
        provider.plays([SHORT])
        assert own(secured, f"api/exchanges/{one}/replay", "POST", {"key": key}).json["status"] == 200
        assert provider.heard[-1].header("authorization") == f"Bearer {sent}"
    claimed = [("openai_forward.operator", "1"), ("Openai-Forward.Operator", "true")]
    assert Call(secured.port, ask("m"), headers=claimed).rest().status == 401


@pytest.mark.parametrize(
    ("value", "status"), [({"mode": "backwards"}, 400), ({"key": "a\r\nb: c"}, 400), ({"mode": 1}, 400), ([], 400)]
)
def test_a_wish_that_makes_no_sense_is_refused_and_nothing_is_asked(proxy, provider, model, value, status):
    running = proxy()
    one = served(running, provider, model)
    assert own(running, f"api/exchanges/{one}/replay", "POST", value).status == status
    assert own(running, "api/exchanges/none/replay", "POST", {}).status == 404
    foreign = own(running, f"api/exchanges/{one}/replay", "POST", {}, ("Origin", "https://evil.example"))
    assert foreign.status == 403 and len(provider.heard) == 1


@pytest.mark.parametrize(
    ("path", "body", "able"),
    [
        ("/v1/chat/completions", {"model": "m"}, True),
        ("/v1/models", None, False),
        ("/v1/files", {"type": "multipart/form-data", "size": 9, "parts": []}, False),
        ("/v1/audio", "text", False),
        ("/v1/x", {"omitted": "log_max_bytes", "bytes": 1, "sha256": "0", "head": ""}, False),
        ("/v1/x", {"messages": [{"image": {"type": "image/png", "bytes": 1, "sha256": "0"}}]}, False),
        ("/_forward/login", {"a": 1}, False),
        ("//evil.example/x\r\nHost: y", {"a": 1}, False),
    ],
)
def test_what_the_journal_has_not_kept_whole_cannot_be_asked_again(path, body, able):
    line = {"method": "POST", "path": path, "input": body}
    assert (why_not(Recorded.of(line)) == "") is able


def test_a_forwarded_ask_is_asked_again_too(proxy, provider):
    running = proxy()
    provider.plays([whole(b'{"data": []}')])
    call = Call(running.port, method="GET", target="/v1/models?limit=page").rest()
    one = call.header("x-logging-id")
    running.record(logging_id=one)
    provider.plays([whole(b'{"data": []}')])
    assert own(running, f"api/exchanges/{one}/replay", "POST", {}).json["status"] == 200
    assert [(heard.method, heard.target) for heard in provider.heard] == [("GET", "/v1/models?limit=page")] * 2
