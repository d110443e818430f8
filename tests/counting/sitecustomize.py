"""Put on a proxy's PYTHONPATH: each of its workers tells how many greenlets it has, whenever a file asks for it.

A thread of the system's looks for the file, as nothing in the worker itself may be disturbed by being looked at.
"""

import os

ASKED = os.environ.get("COUNT_GREENLETS", "")


def _count() -> None:
    import gc

    from gevent.monkey import get_original
    from greenlet import greenlet

    sleep = get_original("time", "sleep")
    while True:
        sleep(0.1)
        if os.path.exists(ASKED):
            gc.collect()
            living = sum(isinstance(one, greenlet) and not one.dead for one in gc.get_objects())
            os.unlink(ASKED)
            with open(ASKED + ".told", "w") as file:
                file.write(f"{living}\n")


def _born() -> None:
    from gevent.monkey import get_original

    get_original("_thread", "start_new_thread")(_count, ())


if ASKED:
    os.register_at_fork(after_in_child=_born)
