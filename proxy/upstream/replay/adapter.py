"""The plug: requests believes this to be a transport, and nobody behind it can tell a recording from a provider."""

from __future__ import annotations

import time
from typing import Any, Dict, Mapping, Tuple

from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter
from requests.exceptions import ReadTimeout

from proxy.archive.aside import aside
from proxy.chat.events import Failed
from proxy.dialects import FAMILIES
from proxy.dialects.json_text import write_json
from proxy.upstream.demo.adapter import read_timeout, respond, whole_of
from proxy.upstream.demo.body import Body
from proxy.upstream.demo.said import JSON_TYPE, Answered, Step
from proxy.upstream.replay.asked import Asked, read_asked
from proxy.upstream.replay.playing import Played, play
from proxy.upstream.replay.recording import Recording

Turn = Tuple[bytes, bytes, bool]


class ReplayAdapter(BaseAdapter):
    """Answers ``replay:`` URLs from a recording; several recordings of one ask are served in turn.

    ``speed`` divides every pause: 1 is as it was, 0 waits for nothing.
    """

    def __init__(self, recording: Recording, speed: float = 1.0) -> None:
        super().__init__()
        self._recording = recording
        self._speed = speed or float("inf")
        self._turns: Dict[Turn, int] = {}

    def send(self, request: PreparedRequest, stream: bool = False, timeout: Any = None, *_: Any, **__: Any) -> Response:
        """Answer ``request``; raises ReadTimeout when the answer would begin later than the read timeout (s)."""
        path, query = str(request.url).partition(":")[2].partition("?")[::2]
        given: Any = request.headers
        headers = list(given.items()) if isinstance(given, Mapping) else given
        body = whole_of(request.body)
        method = str(request.method)
        played = aside(lambda: self._played(read_asked(method, path, query, headers, body)))
        answered, silence = played.answered, read_timeout(timeout)
        wait = answered.wait / self._speed
        time.sleep(wait if silence is None else min(wait, silence))
        if silence is not None and wait > silence:
            raise ReadTimeout(f"replay: Read timed out. (read timeout={silence})", request=request)
        if not answered.status and played.broke is not None:
            raise played.broke
        steps = [] if method == "HEAD" else answered.steps
        return respond(request, answered, Body(steps, silence, self._speed, played.broke))

    def close(self) -> None:
        """Nothing is kept between asks."""

    def _played(self, asked: Asked) -> Played:
        fitting = self._recording.fitting(asked)
        if not fitting:
            return Played(self._unknown(asked))
        turn = asked.key, asked.exact, asked.streams
        number = self._turns[turn] = self._turns.get(turn, -1) + 1
        entry = fitting[number % len(fitting)]
        return play(self._recording.line(entry), asked, exact=entry.exact == asked.exact)

    def _unknown(self, asked: Asked) -> Answered:
        text = f"No recording answers this ask. {self._recording.hint(asked)}"
        failed = Failed(404, "recording_not_found", text, "invalid_request_error")
        family = asked.dialect.family if asked.dialect is not None else self._recording.family
        body = write_json(FAMILIES[family].main.write_failed(failed))
        return Answered(404, [JSON_TYPE, ("Content-Length", str(len(body)))], [Step(0.0, body)])
