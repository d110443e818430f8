"""Places for so many exchanges, a queue that can be left, and an end for what a stop cannot wait for."""

import threading
import time

import pytest

from proxy.errors import ProxyError, failure
from proxy.routes.live import Live


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
    waiting = threading.Thread(target=live.enter, args=(second, nobody))
    waiting.start()
    time.sleep(0.05)
    assert waiting.is_alive()
    live.leave(first)
    waiting.join(2)
    assert not waiting.is_alive()


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
    draining = threading.Thread(target=live.drain)
    draining.start()
    while quick.ended is None:
        time.sleep(0.01)
    live.leave(quick)
    draining.join(5)
    assert live.draining and quick.ended.failed.code == stuck.ended.failed.code == "shutting_down"
    assert (quick.abandoned, stuck.abandoned) == (False, True)
