"""The traffic page in a real browser: what an operator sees, clicks and types; it must complain of nothing."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from journals import lid, write
from provider import Sleep, Stall
from proxy_process import ProxyProcess
from raw_client import Call, events
from stories import CLOSING, DONE, END, OPENING, REASONING, SHORT, SHORT_STREAM, STREAM_HEAD, TOOLS, chunk, token, whole
from test_e2e_crew import live, one_in_each
from witness import ask

playwright = pytest.importorskip("playwright.sync_api", reason="the page's tests need playwright")
expect = playwright.expect
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(
    not CHROMIUM, reason="the page's tests need chromium (Debian: apt-get install chromium)"
)

FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
FLAGS += " --disable-component-update --disable-sync --disable-dev-shm-usage"
PATIENCE = 30_000  # ms; whatever is waited for comes much sooner, unless the machine is very busy
TOKEN = "a-token-for-the-page"
EVIL = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script><b>bold</b>\u2028&lt;i&gt;"


# Notes when the first news came to the page, and how many exchanges were under way in the last.
HEARS = (
    "const Source = EventSource; EventSource = class extends Source { constructor(...given) { super(...given);"
    " this.addEventListener('news', (event) => { window.first ??= performance.now();"
    " window.lives = JSON.parse(event.data).live.length; }); } }"
)


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS.split())
        yield running
        running.close()


@pytest.fixture(scope="module")
def running(_provider, tmp_path_factory):
    """A proxy with two workers, of which all tests here make use."""
    settings = {"workers": 2, "log_frames": True, "model_map": "alias=target"}
    environ = {"FORWARD_ADMIN_TOKEN": TOKEN}
    one = ProxyProcess.app(_provider.url, tmp_path_factory.mktemp("page"), settings, environ).ready(_provider.port)
    yield one
    one.stop()


@pytest.fixture()
def open_page(browser, running):
    """``open_page(query)``: the page in a profile of its own."""
    complaints, contexts = [], []

    def opened(query="", expected=0, script="", **options):
        context = browser.new_context(viewport={"width": 1400, "height": 900}, **options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.add_init_script(
            "addEventListener('securitypolicyviolation', (event) => console.error('policy', event.violatedDirective))"
        )
        page.add_init_script(script)
        page.on(
            "console",
            lambda said: (
                said.type in ("error", "warning")
                and not (expected and f"status of {expected}" in said.text)
                and complaints.append(said.text)
            ),
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.goto(f"{running.origin}/_forward/{query}")
        return page

    expect.set_options(timeout=PATIENCE)
    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def served(running, provider, script, model, stream=False, **more):
    """One exchange that was served, by its id."""
    provider.plays(script)
    call = Call(running.port, ask(model, stream, **more)).rest()
    running.record(logging_id=call.header("x-logging-id"))
    return call.header("x-logging-id")


def row(page, one):
    return page.locator(f'#rows tr[data-id="{one}"]')


def pane(page, name):
    return page.get_by_role("region", name=name, exact=True)


def test_an_exchange_appears_while_it_runs_its_clock_runs_and_it_is_over(open_page, running, provider, model):
    page = open_page()
    provider.plays([STREAM_HEAD, chunk(OPENING), chunk(token(b"one")), Sleep(1.5), chunk(CLOSING), chunk(DONE), END])
    call = Call(running.port, ask(model, True))
    found = page.locator("#rows tr.live", has_text=model)
    expect(found.locator(".pill")).to_have_text("answering")
    first = found.locator("[data-since]").text_content()
    expect(found.locator("[data-since]")).not_to_have_text(first)
    call.rest()
    over = page.locator("#rows tr:not(.live)", has_text=model)
    expect(over.locator(".pill")).to_have_text("complete")
    expect(over.locator(".ways")).to_have_text("openai · stream")
    expect(page.locator("#rows tr.live", has_text=model)).to_have_count(0)
    expect(page.locator("#h-memory")).to_have_text(re.compile(r"\d MiB"))


def test_a_row_that_is_pressed_is_the_row_that_opens_whatever_comes_meanwhile(open_page, running, provider, model):
    one = served(running, provider, [SHORT], model)
    page = open_page(f"?path=/v1/chat/*&model={model}")
    box = row(page, one).bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + box["height"] / 2)
    page.mouse.down()
    two = served(running, provider, [SHORT], model)
    expect(page.locator("#count")).to_have_text("2 exchanges")
    expect(row(page, two)).to_have_count(0)
    page.mouse.up()
    expect(page.locator("#one .facts")).to_contain_text(one)
    page.keyboard.press("Escape")
    expect(row(page, two)).to_be_visible()


def test_a_button_to_cancel_stays_under_the_pointer(open_page, running, provider, model):
    page = open_page(script=HEARS)
    first = "#rows tr.live"
    with one_in_each(running, provider, model) as (calls, heard):
        ids = {one["worker"]: one["logging_id"] for one in live(running, model=model)}
        [worker, other] = calls
        aimed = page.locator(f'{first}[data-id="{ids[worker]}"] .cancel')
        aimed.hover()
        before = aimed.bounding_box()
        with Call(running.port, ask(model, True)) as late:
            late.until(b"one")
            running.until(lambda: len(live(running, model=model)) == 3, 15, "the third is not under way")
            new = next(one["logging_id"] for one in live(running, model=model) if one["logging_id"] not in ids.values())
            running.until(lambda: page.evaluate("window.lives") == 3, 30, "the page has not heard of the third")
            expect(row(page, new)).to_have_count(0)
            assert aimed.bounding_box() == before
            page.mouse.down()
            page.mouse.up()
            assert heard[worker].left_within(10)
            assert not heard[other].left_within(0.1)
            page.mouse.move(5, 5)
            expect(row(page, new)).to_be_visible()
            late.leave()


def test_the_keyboard_can_cancel_what_is_being_looked_at(open_page, running, provider, model):
    provider.plays(
        [STREAM_HEAD, chunk(OPENING), *(step for _ in range(9) for step in (Sleep(0.5), chunk(token(b"x")))), Stall()]
    )
    with Call(running.port, ask(model, True)) as call:
        call.until(b"assistant")
        [one] = [found["logging_id"] for found in live(running, model=model)]
        page = open_page(f"?id={one}")
        page.locator("#one .cancel").focus()
        said = page.locator("#one .empty").text_content()
        expect(page.locator("#one .empty")).not_to_have_text(said)
        page.wait_for_timeout(800)
        expect(page.locator("#one .cancel")).to_be_focused()
        page.keyboard.press("Enter")
        assert events(call.rest())[-1]["error"]["code"] == "cancelled"
        expect(pane(page, "Client's answer")).to_be_visible()


def test_the_list_is_asked_for_once_the_first_news_are_there_so_that_nothing_falls_between(open_page, running):
    page = open_page(script=HEARS)
    lists = "performance.getEntriesByType('resource').filter((one) => one.name.includes('api/exchanges?'))"
    later = f"window.first !== undefined && {lists}.some((one) => one.startTime >= window.first)"
    running.until(lambda: page.evaluate(later), 30, "the list is older than the news")


def test_what_happened_while_the_page_was_not_seen_is_in_the_list_afterwards(open_page, running, provider, model):
    one = served(running, provider, [SHORT], model)
    page = open_page(f"?model={model}")
    row(page, one).click()
    expect(page.locator("#one .facts")).to_contain_text(one)
    turn = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true})"
    for hidden in ("true", "false"):
        page.evaluate(turn % hidden + "; document.dispatchEvent(new Event('visibilitychange'))")
        if hidden == "true":
            two = served(running, provider, [SHORT], model)
    expect(page.locator("#pause")).to_have_text("Live")
    page.keyboard.press("Escape")
    expect(row(page, two)).to_be_visible()


def test_a_filter_that_makes_no_sense_shows_nothing_and_says_why(open_page, running, provider, model):
    one = served(running, provider, [SHORT], model)
    page = open_page(f"?model={model}", expected=400)
    expect(row(page, one)).to_be_visible()
    page.get_by_label("Status").fill("9z")
    page.keyboard.press("Enter")
    expect(page.locator("#wrong")).to_contain_text("status must be like 404")
    expect(page.locator("#rows tr")).to_have_count(0)
    page.reload()
    expect(page.locator("#wrong")).to_contain_text("status must be like 404")
    expect(page.get_by_label("Status")).to_have_value("9z")
    page.get_by_label("Status").fill("2xx")
    page.keyboard.press("Enter")
    expect(row(page, one)).to_be_visible()
    expect(page.locator("#wrong")).to_be_hidden()


def test_cancel_really_cancels_in_whichever_worker_it_is(open_page, running, provider, model):
    page = open_page()
    with one_in_each(running, provider, model) as (calls, heard):
        for worker, call in calls.items():
            call.until(b"one")
            [row] = [row for row in live(running, model=model) if row["worker"] == worker]
            found = page.locator(f'#rows tr.live[data-id="{row["logging_id"]}"]')
            found.get_by_role("button", name="Cancel").click()
            assert heard[worker].left_within(10)
            assert events(call.rest())[-1]["error"]["code"] == "cancelled"
            ended = page.locator(f'#rows tr:not(.live)[data-id="{row["logging_id"]}"]')
            expect(ended.locator(".pill")).to_have_text("cancelled")


def test_a_list_that_is_stopped_stands_still_and_goes_on_where_it_is(open_page, running, provider, model):
    page = open_page()
    expect(page.locator("#pause")).to_have_text("Live")
    page.keyboard.press("p")
    expect(page.locator("#pause")).to_have_attribute("aria-pressed", "true")
    one = served(running, provider, [SHORT], model)
    expect(page.locator("#pause")).to_have_text("Stopped · 1 new")
    expect(row(page, one)).to_have_count(0)
    page.keyboard.press("p")
    expect(row(page, one)).to_be_visible()


def test_filters_are_in_the_address_and_the_way_back_leads_back(open_page, running, provider, model):
    good = served(running, provider, [SHORT], model, user="apricot")
    bad = served(running, provider, [whole(b'{"error": {"message": "no"}}', b"404 Not Found")], model, user="quince")
    page = open_page(f"?model={model}")
    expect(page.locator("#rows tr")).to_have_count(2)
    page.get_by_label("Outcome").select_option("upstream_error")
    expect(page.locator("#rows tr")).to_have_count(1)
    expect(row(page, bad).locator(".status")).to_have_text("404")
    assert "outcome=upstream_error" in page.url and f"model={model}" in page.url
    page.go_back()
    expect(page.locator("#rows tr")).to_have_count(2)
    expect(page.get_by_label("Outcome")).to_have_value("")
    page.keyboard.press("/")
    page.keyboard.type("apricot")
    page.keyboard.press("Enter")
    expect(row(page, good)).to_be_visible()
    expect(page.locator("#rows tr")).to_have_count(1)
    other = open_page(page.url.partition("/_forward/")[2])
    expect(row(other, good)).to_be_visible()
    expect(other.get_by_label("Text", exact=True)).to_have_value("apricot")
    other.locator("#clear").click()
    expect(row(other, bad)).to_be_visible()


def test_a_single_exchange_is_seen_in_the_distributions(open_page, running, provider, model):
    served(running, provider, [SHORT], model)
    page = open_page(f"?model={model}")
    over = page.locator("#c-volume .u-over")
    over.wait_for()
    box = over.bounding_box()
    told = page.locator("#c-volume").locator("xpath=..").locator("output")
    page.mouse.move(box["x"] + box["width"] / 120, box["y"] + 20)
    expect(told).to_contain_text("· 1 · 0 errors")
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    expect(told).to_contain_text("· 0 · 0 errors")


def test_a_drag_over_a_distribution_is_a_filter(open_page, running, provider, model):
    served(running, provider, [SHORT], model)
    page = open_page()
    over = page.locator("#c-volume .u-over")
    over.wait_for()
    box = over.bounding_box()
    page.mouse.move(box["x"] + 10, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 20, steps=4)
    page.mouse.up()
    page.wait_for_url(re.compile("since=.*until="))
    expect(page.locator("#c-volume canvas")).to_be_visible()


def test_one_exchange_has_four_panes_tabs_and_a_strip(open_page, running, provider, model):
    late = [STREAM_HEAD, chunk(OPENING), chunk(token(b"early ")), Sleep(1.1), chunk(token(b"late"))]
    one = served(running, provider, [*late, chunk(CLOSING), chunk(DONE), END], "alias", stream=True, user=model)
    page = open_page(f"?id={one}")
    expect(pane(page, "Client's answer").locator(".turn.assistant .text")).to_have_text("early late")
    expect(pane(page, "Client's ask").locator(".turn.user")).to_contain_text("user")
    expect(pane(page, "Provider's ask")).to_contain_text("1 difference")
    expect(page.locator("#strip canvas")).to_be_visible()
    expect(page.locator(".strip figcaption")).to_contain_text(re.compile("longest 1.* stall"))
    page.keyboard.press("2")
    expect(pane(page, "Client's ask").locator(".changed")).to_contain_text('"model": "alias"')
    expect(pane(page, "Provider's ask").locator(".changed")).to_contain_text('"model": "target"')
    page.get_by_role("tab", name="Raw").click()
    expect(pane(page, "Provider's frames").locator(".frames .stall", has_text="late")).to_be_visible()
    expect(pane(page, "Provider's frames").locator(".frames li").last).to_contain_text("[DONE]")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Headers")).to_be_focused()
    expect(pane(page, "Client's answer")).to_contain_text("X-Logging-Id")
    page.keyboard.press("5")
    expect(pane(page, "Provider's ask")).to_contain_text("attempt 1: stream")
    assert "tab=timing" in page.url
    page.keyboard.press("Escape")
    expect(row(page, one)).to_be_visible()


def test_reasoning_is_folded_and_calls_are_shown(open_page, running, provider, model):
    one = served(running, provider, [whole(REASONING.whole)], model)
    page = open_page(f"?id={one}")
    shown = pane(page, "Client's answer")
    expect(shown.locator("details.reasoning")).not_to_have_attribute("open", "")
    expect(shown.locator("details.reasoning .text")).to_be_hidden()
    shown.locator("details.reasoning summary").click()
    expect(shown.locator("details.reasoning .text")).to_be_visible()
    two = served(running, provider, [whole(TOOLS.whole)], model)
    page.goto(f"{running.origin}/_forward/?id={two}")
    expect(pane(page, "Client's answer").locator(".call").first).to_contain_text("weather()")


def test_nothing_that_a_model_says_becomes_part_of_the_page(open_page, running, provider, model):
    said = json.dumps(EVIL).encode()
    call = b'[{"id":"c","type":"function","function":{"name":%s,"arguments":%s}}]' % (said, said)
    body = SHORT.partition(b"\r\n\r\n")[2].replace(b'"short"', said + b',"reasoning_content":' + said)
    body = body.replace(b'"role":"assistant"', b'"role":"assistant","tool_calls":' + call).replace(b'"M"', said)
    one = served(
        running, provider, [whole(body, headers=b"Content-Type: application/json\r\nX-Evil: <b>x</b>\r\n")], EVIL
    )
    page = open_page()
    expect(row(page, one).locator(".model")).to_contain_text("<script>")
    row(page, one).click()
    for tab in range(1, 6):
        page.keyboard.press(str(tab))
        expect(page.get_by_role("tab").nth(tab - 1)).to_have_attribute("aria-selected", "true")
        assert page.locator("#one img, #one script, #one iframe, .body b b").count() == 0
    page.keyboard.press("1")
    expect(pane(page, "Client's answer").locator(".text").last).to_contain_text("<b>bold</b>")
    assert page.title() == "Traffic · OpenAI-Forward"


def test_the_policy_stops_what_would_run_all_the_same(browser, running):
    page = browser.new_page()
    page.goto(f"{running.origin}/_forward/")
    handler = "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"document.title=1\">')"
    script = "const made = document.createElement('script'); made.textContent = 'document.title=1'; "
    for attempt in (handler, script + "document.body.append(made)"):
        with page.expect_console_message(lambda said: "Content Security Policy" in said.text, timeout=PATIENCE):
            page.evaluate(attempt)
    assert page.title() == "Traffic · OpenAI-Forward"
    page.close()


def test_the_list_and_an_exchange_are_walked_with_the_keyboard(open_page, running, provider, model):
    ids = [served(running, provider, [SHORT], model) for _ in range(3)][::-1]
    page = open_page(f"?model={model}")
    expect(page.locator("#rows tr")).to_have_count(3)
    page.keyboard.press("j")
    expect(row(page, ids[0])).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(row(page, ids[2])).to_be_focused()
    page.keyboard.press("k")
    expect(row(page, ids[1])).to_be_focused()
    assert row(page, ids[1]).evaluate("(row) => getComputedStyle(row).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.locator("#one .facts")).to_contain_text(ids[1])
    page.keyboard.press("Escape")
    expect(row(page, ids[1])).to_be_focused()
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()
    expect(page.locator("#list")).to_be_visible()


def test_an_ask_is_asked_again_in_the_other_mode_after_a_word_about_money(open_page, running, provider, model):
    one = served(running, provider, [SHORT], model)
    page = open_page(f"?id={one}")
    page.get_by_role("button", name="Ask again …").click()
    expect(page.locator("#replay-cost")).to_contain_text("costs money")
    assert len(provider.heard) == 1
    page.get_by_label("the other way: stream").check()
    page.get_by_label("Key for this call only").fill("sk-typed-canary")
    provider.plays(SHORT_STREAM)
    page.locator("#replay-go").click()
    page.wait_for_url(re.compile("with="))
    expect(pane(page, re.compile("^Then:"))).to_contain_text("short")
    expect(pane(page, re.compile("^Again:"))).to_contain_text("short")
    expect(page.locator(".facts").nth(1)).to_contain_text("stream")
    assert provider.heard[-1].json["stream"] is True
    assert provider.heard[-1].header("authorization") == "Bearer sk-typed-canary"
    assert "canary" not in page.url and "canary" not in page.content()
    page.go_back()
    expect(page.locator("#one .facts", has_text=one)).to_be_visible()


def test_recipes_are_copied_and_a_recording_is_downloaded(open_page, running, provider, model):
    one = served(running, provider, [SHORT], model)
    page = open_page(f"?id={one}", permissions=["clipboard-read", "clipboard-write"])
    for name, begins in (("curl", "curl -N "), ("Python", "import os\n\nfrom openai import OpenAI")):
        page.get_by_role("button", name=f"Copy as {name}").click()
        expect(page.locator("#toast")).to_contain_text(f"Copied as {name.lower()}")
        assert page.evaluate("navigator.clipboard.readText()").startswith(begins)
    with page.expect_download() as waiting:
        page.locator("#download").click()
    text = Path(waiting.value.path()).read_text("utf-8")
    assert [json.loads(line)["side"] for line in text.splitlines()] == ["client", "provider"]


def test_many_records_are_shown_page_by_page(open_page, running, provider):
    write(running.folder, range(350), model="crowd")
    page = open_page("?model=crowd")
    expect(page.locator("#rows tr")).to_have_count(100)
    expect(row(page, lid(349))).to_be_visible()
    page.locator("#older").click()
    expect(row(page, lid(249))).to_be_visible()
    expect(page.locator("#rows tr")).to_have_count(100)
    page.locator("#older").click()
    expect(row(page, lid(149))).to_be_visible()
    page.locator("#older").click()
    expect(page.locator("#rows tr")).to_have_count(50)
    expect(page.locator("#older")).to_be_hidden()
    page.go_back()
    expect(row(page, lid(149))).to_be_visible()
    page.locator("#newest").click()
    expect(row(page, lid(349))).to_be_visible()


def lightness(page):
    """How light the page's ground is, 0 to 255."""
    return int(re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))[0])


def test_the_page_is_light_by_day_dark_by_night_and_fits_a_narrow_window(open_page, running, provider, model):
    served(running, provider, [SHORT], model)
    page = open_page(color_scheme="light")
    running.until(lambda: lightness(page) > 200, 30, "it is dark")
    page.emulate_media(color_scheme="dark")
    running.until(lambda: lightness(page) < 60, 30, "it stays light")
    page.set_viewport_size({"width": 380, "height": 700})
    expect(page.locator("#rows tr").first).to_be_visible()
    running.until(lambda: page.evaluate("document.documentElement.scrollWidth <= innerWidth"), 30, "it is too wide")


def test_a_token_is_typed_once(open_page):
    page = open_page(extra_http_headers={"X-Forwarded-For": "192.0.2.1"}, expected=401)
    page.get_by_label("Token").fill(TOKEN)
    page.keyboard.press("Enter")
    expect(page.locator("#rows tr").first).to_be_visible()
    page.get_by_role("button", name="Leave").click()
    expect(page.get_by_label("Token")).to_be_visible()
