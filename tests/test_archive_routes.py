"""The journals over HTTP: what the operator's page asks, and that no stream waits for it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from journals import write
from provider import Sleep
from raw_client import Call
from stories import CLOSING, DONE, END, OPENING, STREAM_HEAD, TEXT, chunk, token, whole
from witness import ask

API = "/_forward/api/"


def get(running, target, method="GET"):
    return Call(running.port, method=method, target=API + target, host="127.0.0.1").rest()


def served(running, provider, model, **more):
    """One exchange that was served, by its id."""
    provider.plays([whole(TEXT.whole)])
    call = Call(running.port, ask(model, **more)).rest()
    running.record(logging_id=call.header("x-logging-id"))
    return call.header("x-logging-id")


def test_an_exchange_is_listed_as_soon_as_it_is_over(proxy, provider, model):
    running = proxy()
    one = served(running, provider, model)
    told = get(running, f"exchanges?model={model}")
    assert (told.status, told.header("content-type"), told.header("cache-control")) == (
        200,
        "application/json",
        "no-store",
    )
    [row] = told.json["exchanges"]
    assert told.json["complete"] is True
    pair = running.record(logging_id=one)
    for name in ("logging_id", "timestamp", "model", "status", "outcome", "duration_ms", "return_mode"):
        assert row[name] == pair.client[name]
    assert row["attempts"] == 1


def test_filters_and_pages_are_in_the_url(proxy, provider, model):
    running = proxy()
    ids = [served(running, provider, model, user=f"canto{number}") for number in range(3)]
    assert [row["logging_id"] for row in get(running, f"exchanges?model={model}&limit=2").json["exchanges"]] == ids[
        :0:-1
    ]
    rest = get(running, f"exchanges?model={model}&limit=2&before={ids[1]}").json["exchanges"]
    assert [row["logging_id"] for row in rest] == ids[:1]
    [row] = get(running, f"exchanges?model={model}&text=canto1&status=2xx&outcome=complete&since=1h").json["exchanges"]
    assert row["logging_id"] == ids[1]


def test_one_exchange_is_both_lines_as_they_are_in_the_files(proxy, provider, model):
    running = proxy()
    one = served(running, provider, model)
    pair = running.record(logging_id=one)
    assert get(running, f"exchanges/{one}").json == {"client": pair.client, "provider": pair.server}
    recording = get(running, f"exchanges/{one}/download")
    assert recording.header("content-disposition") == f'attachment; filename="exchange-{one}.jsonl"'
    lines = [json.loads(line) for line in recording.content.splitlines()]
    assert lines == [{"side": "client", **pair.client}, {"side": "provider", **pair.server}]


def test_histogram_and_stats_count_the_same_exchanges(proxy, provider, model):
    running = proxy()
    for _ in range(3):
        served(running, provider, model)
    told = get(running, f"histogram?model={model}&buckets=5").json
    assert (len(told["buckets"]), sum(bucket["n"] for bucket in told["buckets"])) == (5, 3)
    [group] = get(running, f"stats?model={model}").json["stats"]
    assert (group["model"], group["outcome"], group["n"], group["errors"]) == (model, "complete", 3, 0)
    [group] = get(running, f"stats?model={model}&by=send_mode").json["stats"]
    assert group["send_mode"] == "non_stream"


@pytest.mark.parametrize(
    ("target", "status", "param"),
    [
        ("exchanges?status=x", 400, "status"),
        ("exchanges?limit=0", 400, "limit"),
        ("exchanges?limit=1001", 400, "limit"),
        ("exchanges?before=never", 400, "before"),
        ("exchanges?colour=red", 400, "colour"),
        ("histogram?buckets=many", 400, "buckets"),
        ("stats?by=secrets", 400, "by"),
        ("exchanges/none", 404, None),
        ("exchanges/none/download", 404, None),
        ("exchanges/a/b", 404, None),
        ("nothing", 404, None),
    ],
)
def test_what_is_asked_wrong_is_told_in_the_one_form(proxy, target, status, param):
    told = get(proxy(), target)
    assert (told.status, told.error["param"]) == (status, param)


def test_nobody_else_may_read_them(proxy, provider, model):
    running = proxy()
    one = served(running, provider, model)
    for target in ("exchanges", f"exchanges/{one}", f"exchanges/{one}/download", "histogram", "stats"):
        call = Call(running.port, method="GET", target=API + target, headers=[("Via", "x")], host="127.0.0.1").rest()
        assert call.status == 403
        assert model not in call.content.decode()


def test_looking_is_not_journaled(proxy, provider, model):
    running = proxy(fresh=True)
    served(running, provider, model)
    for _ in range(3):
        get(running, "exchanges")
    assert len(running.lines("client")) == len(running.lines("server")) == 1


def test_a_folder_that_is_gone_is_told(proxy, provider, model, tmp_path):
    folder = tmp_path / "journal"
    running = proxy(fresh=True, output_path=folder)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    told = get(running, "exchanges")
    assert (told.status, told.error["code"]) == (503, "journals_unreadable")
    assert str(tmp_path) not in told.error["message"]


def test_no_stream_waits_while_20000_exchanges_are_taken_in(proxy, provider, model, tmp_path):
    for start in range(0, 20_000, 4000):
        write(tmp_path, range(start, start + 4000))
    running = proxy(fresh=True, output_path=tmp_path)
    words = [b"word%d;" % number for number in range(50)]
    paced = [step for word in words for step in (Sleep(0.05), chunk(token(word)))]
    provider.plays([STREAM_HEAD, chunk(OPENING), *paced, chunk(CLOSING), chunk(DONE), END])
    with Call(running.port, ask(model, True)) as stream, ThreadPoolExecutor(1) as looking:
        calm = gaps(stream, words[:10])
        pages = looking.submit(look, running, lambda: stream.ended)
        busy = gaps(stream, words[10:])
        stream.rest()
    told = pages.result(60)
    assert told[0]["exchanges"] and not told[0]["complete"], "it was taking in while the stream went on"
    assert max(busy) < max(calm) + 0.5, "seconds between two tokens; measured: 0.02 more"


def look(running, over):
    """Ask for the newest exchanges again and again; what was told."""
    told = [get(running, "exchanges?limit=1").json]
    while not over() and not told[-1]["complete"]:
        told.append(get(running, "exchanges?limit=1").json)
    return told


def gaps(stream, words):
    """The seconds between each two words of a stream."""
    times = [stream.until(word) for word in words]
    return [later - earlier for earlier, later in zip(times, times[1:])]
