"""The journal's door to the disk: two files of JSON lines, one record an exchange in each, joined by ``logging_id``."""

from __future__ import annotations

from pathlib import Path
from time import monotonic
from typing import Sequence, Tuple

from proxy.aside import WRITING, aside
from proxy.journal.appender import Appender
from proxy.journal.credentials import secrets_in, secrets_of
from proxy.journal.describe import Body, body_for_journal, describe
from proxy.journal.log import configure_log, log, log_exchange, remember
from proxy.journal.making import make_lines
from proxy.journal.policy import FULL, Policy, policy_of, rotation_of
from proxy.journal.record import Record, arrival
from proxy.journal.redact import Needles, fingerprint, hide, hide_in_urls, needles

__all__ = [
    "CLIENT_FILE",
    "PROVIDER_FILE",
    "Body",
    "Journal",
    "Policy",
    "Record",
    "arrival",
    "body_for_journal",
    "configure_log",
    "describe",
    "fingerprint",
    "hide",
    "hide_in_urls",
    "log",
    "log_exchange",
    "policy_of",
    "remember",
    "rotation_of",
    "secrets_in",
    "secrets_of",
]

# Bytes of an exchange from which on its lines are made beside the others: spelling so much takes milliseconds.
BIG = 1 << 19

CLIENT_FILE, PROVIDER_FILE = "client_interaction.jsonl", "server_interaction.jsonl"


class Journal:
    """Both files. ``secrets`` are the settings' credentials; those of an exchange come with its record.

    ``lag_ms``: how long the last record took from its exchange's end until it was written.
    """

    def __init__(self, folder: str | Path, secrets: Sequence[str] = (), policy: Policy = FULL) -> None:
        """Create the folder and the files, or continue them; raises ValueError with one line if that cannot be done."""
        self.folder = Path(folder)
        self._policy = policy
        self._secrets = tuple(secrets)
        try:
            self._files = [Appender(self.folder / name, policy.rotation) for name in (CLIENT_FILE, PROVIDER_FILE)]
        except OSError as exc:
            raise ValueError(f"output_path {str(folder)!r} is not writable: {exc.strerror or exc}") from exc
        self._unmade = 0
        self.lag_ms = 0.0

    @property
    def drops(self) -> int:
        """How many lines of this process could not be written since it started."""
        return self._unmade + sum(file.drops for file in self._files)

    @property
    def trouble(self) -> str:
        """What keeps the journal from writing at present; empty when nothing does."""
        return next((file.trouble for file in self._files if file.trouble), "")

    def write(self, record: Record) -> None:
        """Append one line to each file. Never raises: what cannot be written is counted in ``drops``."""
        if self._policy.content == "off":
            return
        began = monotonic()
        try:
            look_for = needles((*self._secrets, *record.secrets))
            for file, line in zip(self._files, self._made(record, look_for)):
                self._append(file, line)
            self.lag_ms = round((monotonic() - began) * 1000, 3)
        except Exception as exc:  # a record must never cost the client its answer
            self._unmade += len(self._files)
            log("journal could not make a record", level="error", logging_id=record.logging_id, why=type(exc).__name__)

    def close(self) -> None:
        """Close both files."""
        for file in self._files:
            file.close()

    def _made(self, record: Record, look_for: Needles) -> Tuple[bytes, bytes]:
        def make() -> Tuple[bytes, bytes]:
            return make_lines(record, self._policy, look_for)

        if record.weight() < BIG:
            return make()
        try:
            return aside(make, WRITING)
        except Exception:
            raise
        except BaseException:  # whoever waits is being killed, and must not take the record along
            return make()

    def _append(self, file: Appender, line: bytes) -> None:
        before = file.trouble
        if not file.append_aside(line):
            if not before:
                log("journal cannot write", level="error", file=file.path.name, why=file.trouble, drops=self.drops)
        elif before:
            log("journal writes again", level="warning", file=file.path.name, drops=self.drops)
