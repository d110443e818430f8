"""The journal's door to the disk: two files of JSON lines, one record an exchange in each, joined by ``logging_id``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Sequence

import msgspec

from proxy.journal.appender import Appender
from proxy.journal.credentials import secrets_of
from proxy.journal.describe import body_for_journal, describe
from proxy.journal.line import spell
from proxy.journal.log import configure_log, log, remember
from proxy.journal.policy import FULL, Policy
from proxy.journal.record import Record, arrival
from proxy.journal.redact import Needles, fingerprint, hide, hide_in_urls, needles

__all__ = [
    "CLIENT_FILE",
    "PROVIDER_FILE",
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
    "remember",
    "secrets_of",
]

CLIENT_FILE, PROVIDER_FILE = "client_interaction.jsonl", "server_interaction.jsonl"

# Our own words: no credential can be in them, and a credential that is such a word must not blot them out.
_OURS = {"timestamp", "logging_id", "send_mode", "return_mode", "status", "upstream_status", "outcome", "repairs"}
# These mix our words with the provider's.
_MIXED = {"attempts", "method", "usage"}


class Journal:
    """Both files. ``secrets`` are the settings' credentials; those of an exchange come with its record."""

    def __init__(self, folder: str | Path, secrets: Sequence[str] = (), policy: Policy = FULL) -> None:
        """Create the folder and the files, or continue them; raises ValueError with one line if that cannot be done."""
        self.folder = Path(folder)
        self._policy = policy
        self._secrets = tuple(secrets)
        try:
            self._files = [Appender(self.folder / name) for name in (CLIENT_FILE, PROVIDER_FILE)]
        except OSError as exc:
            raise ValueError(f"output_path {str(folder)!r} is not writable: {exc.strerror or exc}") from exc
        self._unmade = 0

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
        try:
            if not self._policy.frames:
                record.frames = None
            look_for = needles((*self._secrets, *record.secrets))
            lines = [_line(fields, look_for) for fields in record.lines()]
            for file, line in zip(self._files, lines):
                self._append(file, line)
        except Exception as exc:  # a record must never cost the client its answer
            self._unmade += len(self._files)
            log("journal could not make a record", level="error", logging_id=record.logging_id, why=type(exc).__name__)

    def close(self) -> None:
        """Close both files."""
        for file in self._files:
            file.close()

    def _append(self, file: Appender, line: bytes) -> None:
        before = file.trouble
        if not file.append(line):
            if not before:
                log("journal cannot write", level="error", file=file.path.name, why=file.trouble, drops=self.drops)
        elif before:
            log("journal writes again", level="warning", file=file.path.name, drops=self.drops)


def _line(fields: dict[str, Any], look_for: Needles) -> bytes:
    data, changed = spell(fields)
    if changed:
        fields = {**fields, "lossy": True}
        data, _ = spell(fields)
    if look_for.found_in(data):
        data, _ = spell({name: _clean(name, value, look_for) for name, value in fields.items()})
    return data + b"\n"


def _clean(name: str, value: Any, look_for: Needles) -> Any:
    if name in _OURS:
        return value
    data, _ = spell(value)
    return msgspec.Raw(look_for.clean_json(data, words=name not in _MIXED) if look_for.found_in(data) else data)
