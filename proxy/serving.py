"""Services besides answering: asked for in one protocol, fetched in another, always whole."""

from __future__ import annotations

from time import time
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence
from urllib.parse import quote, unquote

from proxy.agreement import replaced
from proxy.bodies import ERROR_LIMIT, begin_of_body
from proxy.chat.events import Failed
from proxy.deadlines import Deadlines
from proxy.dialects import FAMILIES
from proxy.dialects.desks import Wanted, offer_of
from proxy.dialects.dialect import Stamp, Wire
from proxy.dialects.failures import read_failure
from proxy.dialects.json_text import read_json, write_json
from proxy.dialects.openai_services import with_aliases
from proxy.dialects.parameters import told_dropped
from proxy.dialects.service import Errand, Said
from proxy.errors import Headers, ProxyError, blame, failure
from proxy.exchange import Parts, conclude
from proxy.headers import from_provider
from proxy.journal.record import Record
from proxy.upstream.provider import Answer

JSON = (("Content-Type", "application/json"),)
MOST_PAGES = 50
ESTIMATED = ("X-Forward-Estimated", "1")


class Serving:
    """One service under way; ``said`` is the client's JSON (empty for a GET), ``headers`` those for the provider."""

    status = 200

    def __init__(self, parts: Parts, wanted: Wanted, record: Record, said: Said, headers: Headers) -> None:
        self.record = record
        self.headers: Headers = []
        self.deadlines = Deadlines(parts.settings.total_timeout, None)
        self._parts = parts
        self._wanted = wanted
        self._said = said
        self._asked_headers = headers
        self._answer: Optional[Answer] = None

    def blocks(self) -> Iterator[bytes]:
        """The one block of the answer. Raises ProxyError."""
        body = write_json(self._own() if self._wanted.own else self._translated())
        self.record.client_output = body
        yield body

    def _own(self) -> Wire:
        """From a provider of the client's own kind: all as it is but for the names of models."""
        service, models = self._wanted.service, self._parts.models
        target = models.target(unquote(self._wanted.name)).model
        path = service.path[len(self._parts.family.base) :].replace("*", quote(target, safe="/:@%"))
        asked = self._named(dict(self._said))
        (answer,) = self._fetched([Errand(service.method, path, write_json(asked) if asked else b"")], lambda _: None)
        return service.add(answer, models.aliases)

    def _translated(self) -> Wire:
        service = self._wanted.service
        ask = service.read_ask(self._said, unquote(self._wanted.name))
        offer = offer_of(self._parts.family.name, service)
        if service.local is not None and offer is None:
            self.headers = [ESTIMATED] if service.estimated else []
            answer = service.local(ask)
        elif offer is None and service.name == "models" and self._parts.models.aliases:
            answer = self._aliased({"object": "list", "data": []})  # nobody can be asked, but these are known
        elif offer is None:
            text = f"The provider speaks {self._parts.family.name} and offers no {service.name}."
            raise failure("not_found", text)
        else:
            answers = self._fetched(offer.errands(self._named(ask)), offer.more)
            with blame("invalid_upstream_response", "The provider's answer"):
                answer = self._aliased(offer.read(answers, ask))
        stamp = Stamp(self.record.logging_id.replace("-", ""), int(time()), self.deadlines.elapsed)
        with blame("invalid_upstream_response", "The provider's answer"):
            return service.write(answer, self._said, stamp)

    def status_of(self, failed: Failed) -> int:
        """The status that the client's protocol has for a failure."""
        return FAMILIES[self._wanted.client].main.status(failed)

    def envelope(self, failed: Failed) -> Wire:
        """A failure as the client's protocol spells it."""
        return FAMILIES[self._wanted.client].main.write_failed(failed)

    def hang_up(self, linger: float = 0.0) -> None:
        """Let go of the provider's connection."""
        if self._answer is not None:
            self._answer.close(linger)

    def close(self) -> None:
        """The client has its answer: write it down."""
        conclude(self._parts, self.record, self.deadlines)

    def _named(self, ask: Wire) -> Wire:
        """The ask with the provider's name of its model."""
        for key in ("model", "id"):
            if isinstance(ask.get(key), str) and ask[key]:
                self.record.model = ask[key]
                self.record.sent_model = self._parts.models.target(ask[key]).model
                return {**ask, key: self.record.sent_model}
        return ask

    def _aliased(self, answer: Wire) -> Wire:
        listing = self._wanted.service.name == "models"
        return with_aliases(answer, self._parts.models.aliases) if listing else answer

    def _fetched(self, errands: Sequence[Errand], more: Callable[[Said], Optional[Errand]]) -> List[Said]:
        dropped = [name for errand in errands[:1] for name in errand.dropped]
        if self._wanted.family != self._parts.family.name:
            dropped = [*self._wanted.service.unread(self._said), *dropped]
        if dropped:
            self.record.dropped = dropped
            self.headers = [("X-Forward-Dropped", told_dropped(dropped))]
        if dropped and self._parts.settings.strict:
            raise failure(
                "unsupported_parameter", f"The provider has no parameter {dropped[0]!r} (--strict).", dropped[0]
            )
        answers = [self._fetch(errand) for errand in errands]
        following = more(answers[-1])
        while following is not None and len(answers) < MOST_PAGES:
            answers.append(self._fetch(following))
            following = more(answers[-1])
        self.record.provider_output = answers if len(answers) > 1 else answers[0]
        return answers

    def _fetch(self, errand: Errand) -> Said:
        attempt: Dict[str, Any] = {"mode": None, "status": None, "code": None}
        self.record.attempts.append(attempt)
        self.record.provider_input = errand.body or None
        path, _, query = errand.path.partition("?")
        url = self._parts.provider.endpoint(path, query)
        headers = replaced(self._asked_headers, JSON) if errand.body else self._asked_headers
        try:
            answer = self._answer = self._parts.provider.send(
                errand.method, url, headers, errand.body or None, tell=self.record.leaves_with
            )
            self.record.provider_answer_headers = answer.headers
            attempt["status"] = self.record.upstream_status = answer.status
            return self._understood(answer)
        except ProxyError as error:
            attempt["code"] = error.failed.code
            raise
        finally:
            self.record.waiting.end()
            attempt["ms"] = self.deadlines.elapsed_ms()

    def _understood(self, answer: Answer) -> Said:
        if answer.status >= 300:
            body = begin_of_body(answer, ERROR_LIMIT)
            self.record.provider_output = body
            failed = read_failure(max(answer.status, 400), answer.headers, body)
            raise ProxyError(failed, from_provider(answer.headers, own_body=True))
        body = answer.read(self._parts.settings.max_aggregate_bytes)
        try:
            said = read_json(body)
        except ValueError:
            said = None
        if not isinstance(said, dict):
            raise failure("invalid_upstream_response", "The provider's answer is no JSON object.")
        return said
