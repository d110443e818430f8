"""``logs query``: SQL over the journals, with DuckDB where it is installed."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any, Dict, List, Tuple

import click

from proxy.archive.files import CLIENT, PROVIDER, listing
from proxy.logs.asked import table, with_folder
from proxy.logs.saying import flat, say, shown, value_free_of_controls
from proxy.logs.spelling import to_json

WIDEST = 80  # characters of a cell in a table
LONGEST = 128 << 20  # bytes of a line; DuckDB takes some multiple of it as memory
VIEWS = {"client": CLIENT, "server": PROVIDER}
READS = ("SELECT", "EXPLAIN", "PRAGMA")
_TEXTS = "logging_id send_mode return_mode path method model sent_model answered_model client_dialect provider_dialect outcome"
_JSON = "input output attempts usage error repairs dropped headers clock"
COLUMNS: Dict[str, str] = {
    "timestamp": "TIMESTAMP",
    **dict.fromkeys(_TEXTS.split(), "VARCHAR"),
    **dict.fromkeys(("status", "upstream_status", "chunks"), "BIGINT"),
    **dict.fromkeys(("ttft_ms", "duration_ms", "overhead_ms"), "DOUBLE"),
    **dict.fromkeys(_JSON.split(), "JSON"),
}


@click.command(short_help="Ask the journals in SQL (needs DuckDB).")
@click.argument("sql")
@click.option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True,
    help="How the rows are written.")
@with_folder
def query(folder: str, sql: str, form: str) -> None:
    """Ask in SQL; the views `client` and `server` have a row a line: fields as columns, what was said as JSON.

    For example: "SELECT model, count(*), median(duration_ms) FROM client GROUP BY ALL", or
    "SELECT output->>'$.choices[0].message.content' FROM server WHERE outcome = 'truncated'".
    """
    try:
        import duckdb
    except ImportError:
        raise click.ClickException("logs query needs DuckDB: pip install 'openai-forward[duckdb]'") from None
    with duckdb.connect(":memory:") as db:
        try:
            _prepare(db, Path(folder))
            heads, rows = _answer(db, sql)
        except duckdb.Error as exc:
            raise click.ClickException(" ".join(str(exc).split("\n\nLINE")[0].split())) from None
    _PRINT[form](heads, rows)


def _prepare(db: Any, folder: Path) -> None:
    db.execute("SET autoinstall_known_extensions = false")
    files, _ = listing(folder, {})
    if not files:
        raise click.ClickException(f"there are no journals in {os.path.abspath(folder)}")
    columns = ", ".join(f"{name}: '{kind}'" for name, kind in COLUMNS.items())
    for view, side in VIEWS.items():
        paths = [str(folder / file.name) for file in files if file.side == side]
        source = f"read_json({_quoted(paths)}, format = 'newline_delimited', columns = {{{columns}}}, ignore_errors = true, "
        source += f"maximum_object_size = {LONGEST})"
        empty = ", ".join(f"NULL::{kind} AS {name}" for name, kind in COLUMNS.items())
        db.execute(f"CREATE VIEW {view} AS SELECT * FROM {source}" if paths else f"CREATE VIEW {view} AS SELECT {empty} LIMIT 0")


def _quoted(paths: List[str]) -> str:
    return "[" + ", ".join("'" + path.replace("'", "''") + "'" for path in paths) + "]"


def _answer(db: Any, sql: str) -> Tuple[List[str], List[Tuple[Any, ...]]]:
    """Heads and rows of the last statement; each may only read."""
    statements = db.extract_statements(sql)
    for statement in statements:
        if statement.type.name not in READS:
            raise click.ClickException(f"only what reads is allowed, not {statement.type.name}")
    if not statements:
        raise click.UsageError("give an SQL statement")
    for statement in statements:
        db.execute(statement)
    return [column[0] for column in db.description or []], db.fetchall() if db.description else []


def _as_table(heads: List[str], rows: List[Tuple[Any, ...]]) -> None:
    cells = [[_cell(value) for value in row] for row in rows]
    say(table([flat(head) for head in heads], cells, len(heads)))
    say(f"({len(rows)} row{'' if len(rows) == 1 else 's'})")


def _cell(value: Any) -> str:
    text = "-" if value is None else flat(value)
    return text if len(text) <= WIDEST else text[: WIDEST - 3] + "..."


def _as_csv(heads: List[str], rows: List[Tuple[Any, ...]]) -> None:
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(heads)
    out.writerows(["" if value is None else value for value in row] for row in rows)
    say(shown(text.getvalue()), nl=False)


def _as_json(heads: List[str], rows: List[Tuple[Any, ...]]) -> None:
    for row in rows:
        say(value_free_of_controls(to_json(dict(zip(heads, row)))))


_PRINT = {"table": _as_table, "csv": _as_csv, "json": _as_json}
