"""Places for so many exchanges, a queue that can be left, and an end for what a stop cannot wait for."""

import threading
import time

import pytest

from proxy.deadlines import Deadlines
from proxy.errors import ProxyError, failure
from proxy.journal import Record
from proxy.routes.arrived import Arrived
from proxy.routes.deliver import Delivery, Door
from proxy.routes.live import Live
from proxy.routes.watch import Watchman


class One:
    """An exchange that remembers how it was ended."""

    def __init__(self):
        self.ended, self.abandoned = None, False

    def end(self, error):
        self.ended = error

    def abandon(self):
        self.abandoned = True


def nobody():
    return None


class Whole:
    """A walk to a short answer, which notes what was under way when its record was written."""

    headers = []
    status = 200

    def __init__(self, live):
        self.live = live
        self.record = Record()
        self.deadlines = Deadlines(None, None)
        self.noted = None

    def blocks(self):
        yield b"{}"

    def hang_up(self, linger=0.0):
        pass

    def close(self):
        self.noted = self.live.under_way(), self.live.cancel(self.record.logging_id)


def test_an_exchange_is_under_way_until_both_lines_are_written_but_cannot_be_cancelled_then():
    live = Live(0, places=1, queue=0)
    walk = Whole(live)
    came = Arrived("POST", "/", "", [], 0, False, None, None, 1.0, None, False, {})
    delivery = Delivery(Door(Watchman(), live), walk, came, compatible=False)
    delivery.whole()
    assert live.under_way() == [delivery]
    assert b"".join(delivery) == b"{}"
    assert walk.noted == ([delivery], False)
    assert live.under_way() == [] and walk.record.outcome == "complete"


def test_a_record_that_fails_keeps_no_place():
    live = Live(0, places=1, queue=0)
    walk = Whole(live)
    walk.close = lambda: 1 / 0
    came = Arrived("POST", "/", "", [], 0, False, None, None, 1.0, None, False, {})
    delivery = Delivery(Door(Watchman(), live), walk, came, compatible=False)
    delivery.whole()
    with pytest.raises(ZeroDivisionError):
        list(delivery)
    live.enter(One(), nobody)


def test_beyond_the_places_and_the_queue_there_is_a_503_that_says_when_to_come_back():
    live = Live(0, places=1, queue=0)
    live.enter(One(), nobody)
    with pytest.raises(ProxyError) as caught:
        live.enter(One(), nobody)
    assert (caught.value.failed.status, caught.value.failed.code) == (503, "server_is_overloaded")
    assert caught.value.headers == [("Retry-After", "1")]


def test_who_waits_gets_the_place_that_becomes_free():
    live, first, second = Live(0, places=1, queue=1), One(), One()
    live.enter(first, nobody)
    waiting = threading.Thread(target=live.enter, args=(second, nobody), daemon=True)
    waiting.start()
    time.sleep(0.05)
    assert waiting.is_alive()
    live.leave(first)
    waiting.join(2)
    assert not waiting.is_alive()


def test_nobody_gets_past_those_that_wait_and_they_come_in_as_they_came():
    live, first, came = Live(0, places=1, queue=9), One(), []
    live.enter(first, nobody)

    def one_of(number):
        one = One()
        live.enter(one, nobody)
        came.append(number)
        live.leave(one)

    waiting = [threading.Thread(target=one_of, args=(number,), daemon=True) for number in range(5)]
    for number, thread in enumerate(waiting):
        thread.start()
        while live.waiting <= number:
            time.sleep(0.001)
    time.sleep(0.6)  # longer than they wait without looking around
    live.leave(first)
    late = One()
    live.enter(late, nobody)  # at once, and yet the last
    assert came == [0, 1, 2, 3, 4]
    live.leave(late)
    for thread in waiting:
        thread.join(10)
    assert (live.waiting, live.under_way()) == (0, [])


def test_a_place_that_was_given_to_one_who_leaves_goes_to_the_next():
    live, first, told = Live(0, places=1, queue=9), One(), []
    live.enter(first, nobody)

    def leaves():
        live.leave(first)  # just now, the place is given to the one who leaves
        return failure("client_left", "gone")

    def impatient():
        with pytest.raises(ProxyError, match="gone"):
            live.enter(One(), leaves)
        told.append(True)

    threads = [
        threading.Thread(target=impatient, daemon=True),
        threading.Thread(target=live.enter, args=(One(), nobody), daemon=True),
    ]
    threads[0].start()
    while not live.waiting:
        time.sleep(0.001)
    threads[1].start()
    for thread in threads:
        thread.join(20)
    assert told and not any(thread.is_alive() for thread in threads)


def test_who_leaves_the_queue_takes_no_place():
    live, first = Live(0, places=1, queue=1), One()
    live.enter(first, nobody)
    with pytest.raises(ProxyError, match="gone"):
        live.enter(One(), lambda: failure("client_left", "gone"))
    live.leave(first)
    live.enter(One(), nobody)


def test_a_stop_ends_what_is_left_and_breaks_what_does_not_end():
    live, quick, stuck = Live(0, places=2, queue=0), One(), One()
    live.enter(quick, nobody)
    live.enter(stuck, nobody)
    draining = threading.Thread(target=live.drain, daemon=True)
    draining.start()
    while quick.ended is None:
        time.sleep(0.01)
    live.leave(quick)
    draining.join(5)
    assert live.draining and quick.ended.failed.code == stuck.ended.failed.code == "shutting_down"
    assert (quick.abandoned, stuck.abandoned) == (False, True)
