"""Who pulls an answer: the same walk by a thread and by a greenlet, told to stop at every moment."""

import subprocess
import sys
import textwrap

import pytest

from proxy.deadlines import Deadlines
from proxy.errors import ProxyError, failure
from proxy.routes.flow import GreenFlow, PlainFlow, open_flow
from proxy.routes.walk import END

pytestmark = pytest.mark.timed


class Story:
    """A walk that says what it was told to, and remembers how it ended."""

    def __init__(self, *says, total=None):
        self.says = says
        self.deadlines = Deadlines(total, None)
        self.ended = []

    def blocks(self):
        try:
            for item in self.says:
                if isinstance(item, Exception):
                    raise item
                yield item() if callable(item) else item
        finally:
            self.ended.append("walk")

    def hang_up(self, linger=0.0):
        self.ended.append("call")


FLOWS = [PlainFlow, GreenFlow]


@pytest.mark.parametrize("flow_of", FLOWS)
def test_blocks_arrive_in_order_and_then_the_end(flow_of):
    flow = flow_of(Story(b"a", b"", b"c"))
    assert [flow.next() for _ in range(4)] == [b"a", b"", b"c", END]


@pytest.mark.parametrize("flow_of", FLOWS)
def test_a_failure_arrives_after_what_came_before_it(flow_of):
    story = Story(b"a", failure("stream_truncated", "cut"))
    flow = flow_of(story)
    assert flow.next() == b"a"
    with pytest.raises(ProxyError, match="cut"):
        flow.next()
    flow.stop()
    assert "walk" in story.ended and "call" in story.ended


@pytest.mark.parametrize("flow_of", FLOWS)
def test_a_surprise_becomes_an_internal_error_that_says_nothing_about_itself(flow_of):
    flow = flow_of(Story(ZeroDivisionError("secret detail")))
    with pytest.raises(ProxyError) as caught:
        flow.next()
    assert caught.value.failed.code == "internal_error"
    assert "secret detail" not in caught.value.failed.message


@pytest.mark.parametrize("flow_of", FLOWS)
@pytest.mark.parametrize("taken", [0, 1, 2])
def test_stopping_ends_the_walk_and_the_call(flow_of, taken):
    story = Story(b"a", b"b", b"c")
    flow = flow_of(story)
    for _ in range(taken):
        flow.next()
    flow.stop()
    flow.stop()
    assert "call" in story.ended


def test_a_thread_that_was_told_to_fail_while_it_waited_for_a_connection_fails_as_soon_as_it_has_one():
    story = Story()
    flow = PlainFlow(story)

    def connected():
        flow.fail(failure("cancelled", "enough"))  # as from another thread: there was nothing to let go of yet
        story.ended.clear()
        return b"the first block"

    story.says = (connected, b"the second")
    with pytest.raises(ProxyError, match="enough"):
        flow.next()
    assert "call" in story.ended


def test_unpatched_sockets_mean_the_hosts_own_thread():
    assert isinstance(open_flow(Story()), PlainFlow)


def run_patched(script):
    program = "from gevent import monkey; monkey.patch_all()\n" + textwrap.dedent(script)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout.split()


PREAMBLE = """
import time
from gevent import sleep
from proxy.errors import ProxyError, failure
from proxy.routes.flow import GreenFlow, open_flow
from proxy.routes.walk import END, PENDING
from tests.test_flow import Story
def slowly(text, seconds):
    def say():
        sleep(seconds)
        return text
    return say
"""


def test_a_patched_host_pulls_in_a_greenlet_and_tells_when_nothing_came():
    script = """
    flow = open_flow(Story(b"a", slowly(b"b", 0.2)))
    print(type(flow).__name__, flow.next(0.05) == b"a", flow.next(0.05) is PENDING)
    print(flow.next(5) == b"b", flow.next() is END)
    """
    assert run_patched(PREAMBLE + textwrap.dedent(script)) == ["GreenFlow", "True", "True", "True", "True"]


def test_a_walk_that_waits_is_ended_from_outside_with_the_reason():
    script = """
    import gevent
    story = Story(b"a", slowly(b"b", 30))
    flow = GreenFlow(story)
    flow.next()
    gevent.spawn_later(0.05, flow.fail, failure("client_left", "gone"))
    try:
        flow.next()
    except ProxyError as error:
        print(error.failed.code, *story.ended)
    """
    assert run_patched(PREAMBLE + textwrap.dedent(script))[:2] == ["client_left", "walk"]


def test_a_walk_whose_client_has_gone_ends_with_its_last_word_untaken():
    script = """
    story = Story(b"a", b"b")
    flow = GreenFlow(story)
    flow.next()
    sleep(0.05)
    flow.stop()
    sleep(0.05)
    print(flow._over, *story.ended)
    story = Story(b"a", b"b", b"c")
    flow = GreenFlow(story)
    flow.next()
    flow.fail(failure("client_left", "gone"))
    flow.stop()
    sleep(0.05)
    print(flow._over, *story.ended)
    """
    assert run_patched(PREAMBLE + textwrap.dedent(script)) == ["True", "walk", "call"] * 2


def test_a_greenlet_that_has_walked_to_an_end_walks_the_next_whatever_that_end_was():
    script = """
    from gevent import getcurrent

    class Seen(Story):
        def blocks(self):
            used.append(getcurrent())
            yield from super().blocks()

    used = []
    for way in ("over", "stopped", "failed", "over"):
        flow = GreenFlow(Seen(b"a", b"b"))
        flow.next()
        if way == "failed":
            flow.fail(failure("client_left", "gone"))
        elif way == "over":
            flow.next()
            flow.settle()
        flow.stop()
        sleep(0)
    print(len(set(used)), len(used))
    together = [GreenFlow(Seen(b"a", b"b")) for _ in range(3)]
    for flow in together:
        flow.next()
    print(len(set(used)))
    for flow in together:
        flow.stop()
    """
    assert run_patched(PREAMBLE + textwrap.dedent(script)) == ["1", "4", "3"]


def test_failing_what_has_just_ended_is_no_traceback():
    script = """
    story = Story(b"a")
    flow = GreenFlow(story)
    flow.next()
    flow.fail(failure("client_left", "gone"))
    sleep(0.05)
    flow.stop()
    print("call" in story.ended)
    """
    assert run_patched(PREAMBLE + textwrap.dedent(script)) == ["True"]


def test_a_total_limit_ends_a_walk_that_waits():
    script = """
    began = time.monotonic()
    story = Story(slowly(b"b", 30), total=0.1)
    flow = GreenFlow(story)
    try:
        flow.next(10)
    except ProxyError as error:
        print(error.failed.code, time.monotonic() - began < 2, "walk" in story.ended)
    """
    assert run_patched(PREAMBLE + textwrap.dedent(script)) == ["total_timeout", "True", "True"]


PULLED = (
    PREAMBLE
    + """
import gevent, socket
from proxy.upstream.patience import Patience

class Line(Story):
    # blocks are what a socket brings; once it is pulled, an empty one says that nothing was there
    def __init__(self, **limits):
        super().__init__(**limits)
        self.sock, self.theirs = socket.socketpair()
        self.sock.settimeout(0)
        self.error, self.walkers, self.patience = None, [], Patience(self.sock, 30)

    def pull(self):
        return self

    def until(self, due):
        return bool(self.error) or self.patience.until(due)

    def break_off(self, error):
        self.error, waits = error, self.patience.waiting
        self.patience.wake()
        return waits

    def blocks(self):
        try:
            yield b"first"
            yield from self.rest()
        except ProxyError as error:
            yield b"last word of " + error.failed.code.encode()
        finally:
            self.ended.append("walk")

    def rest(self):
        while True:
            self.walkers.append(gevent.getcurrent())
            try:
                if self.error:
                    raise self.error
                block = self.sock.recv(99)
                if not block:
                    return
            except BlockingIOError:
                block = b""
            yield block

story = Line(total=TOTAL)
flow = open_flow(story, story.pull)
print(flow.next(5).decode(), flow.next(0.05) is PENDING)
"""
)


def run_pulled(script, total=None):
    return run_patched(PULLED.replace("TOTAL", str(total)) + textwrap.dedent(script))


def test_a_stream_under_way_is_pulled_by_its_host_which_is_told_when_nothing_came():
    script = """
    story.theirs.sendall(b"a")
    print(flow.next(5).decode(), flow.next(0.05) is PENDING)
    gevent.spawn_later(0.05, story.theirs.close)
    print(flow.next(5) is END, set(story.walkers) == {gevent.getcurrent()})
    flow.stop()
    sleep(0)
    print(*story.ended)
    """
    assert run_pulled(script) == ["first", "True", "a", "True", "True", "True", "walk", "call"]


def test_a_pulled_stream_that_is_waited_for_is_ended_from_outside_and_says_its_last_word():
    script = """
    gevent.spawn_later(0.05, flow.fail, failure("shutting_down", "bye"))
    print(flow.next(30).decode(), flow.next(30) is END)
    flow.stop()
    """
    assert run_pulled(script)[2:] == ["last", "word", "of", "shutting_down", "True"]


def test_a_pulled_stream_that_nobody_waits_for_lets_go_of_its_provider_at_once():
    script = """
    flow.fail(failure("client_left", "gone"))
    print(*story.ended)
    try:
        flow.next(30)
    except ProxyError as error:
        print(error.failed.code, *story.ended)
    """
    assert run_pulled(script)[2:] == ["call", "client_left", "call", "walk", "call"]


def test_a_total_limit_ends_a_pulled_stream():
    script = """
    began = time.monotonic()
    print(flow.next(30).decode(), time.monotonic() - began < 10)
    """
    assert run_pulled(script, total=0.2)[2:] == ["last", "word", "of", "total_timeout", "True"]


def test_the_watchman_notices_leaving_and_half_closing_whatever_lies_unread():
    script = """
    import socket
    from proxy.routes.watch import Watchman
    watchman, left = Watchman(), []
    pairs = [socket.socketpair() for _ in range(4)]
    for number, (ours, theirs) in enumerate(pairs):
        watchman.watch(ours.fileno(), lambda number=number: left.append(number))
    pairs[0][1].close()
    pairs[1][1].sendall(b"unread")
    pairs[1][1].shutdown(socket.SHUT_WR)
    pairs[2][1].sendall(b"unread")
    watchman.forget(pairs[3][0].fileno())
    pairs[3][1].close()
    sleep(0.1)
    print(*sorted(left))
    """
    assert run_patched(PREAMBLE + textwrap.dedent(script)) == ["0", "1"]
