"""What a process holds at the moment, told on SIGPROF: the tests put this folder on a proxy's PYTHONPATH."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import sys
from pathlib import Path


def tell(*_: object) -> None:
    """Write the counts to $FAULTS_TOLD.PID, whole or not at all."""
    for _ in range(3):
        gc.collect()
    gevent = sys.modules.get("gevent")
    objects = gc.get_objects()
    told = {  # of greenlets not those that stand for the threads of gevent's pool, of which there are a few at most
        "greenlets": sum(isinstance(one, gevent.Greenlet) and not one.dead for one in objects) if gevent else 0,
        "descriptors": len(os.listdir("/proc/self/fd")) - 1,  # one is the listing's own
        "blocks": sys.getallocatedblocks(),
    }
    path = Path(f"{os.environ['FAULTS_TOLD']}.{os.getpid()}")
    draft = path.with_suffix(path.suffix + ".draft")
    draft.write_text(json.dumps(told))
    draft.replace(path)


with contextlib.suppress(ValueError):
    signal.signal(signal.SIGPROF, tell)
