"""``python -m proxy selftest --url ...``: what of a provider's answers is sound, what will have to be mended."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from typing import Any, Dict, List, Sequence, Tuple

import click

import config
from config import Settings
from proxy.dialects import Family
from proxy.journal.credentials import secrets_in
from proxy.journal.redact import hide, needles
from proxy.logs.asked import table
from proxy.logs.saying import harmless, nobody_reads, say
from proxy.selftest.asking import Asker, Heard
from proxy.selftest.checks import QUESTIONS, ROWS, cost
from proxy.selftest.judging import GOOD, MENDED, UNSOUND
from proxy.soundness import check
from proxy.upstream.provider import Provider
from proxy.upstream.replay import family_for

CANNOT = 2
WIDEST = 200  # characters of what is told of one check
NARROWEST = 24  # of the column that is wrapped where the terminal is narrow
Result = Dict[str, Any]
HEADS = ["check", "status", "state", "what", "repairs"]


@click.command(
    "selftest",
    context_settings={"ignore_unknown_options": True, "max_content_width": 120},
    help="Ask a provider everything once and print what of its answers is sound and what the proxy will have to mend. "
    "SETTINGS are the proxy's own flags (--url, --dialect, --timeout, --config ...); the key is FORWARD_API_KEY."
    "\n\nExit status 0: all sound; 1: something has to be mended, or cannot be; 2: it cannot be asked.",
)
@click.option("--model", default="", metavar="NAME", help="The model to ask for; demo: needs none.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the table.")
@click.option("--yes", is_flag=True, help="Do not ask first whether it may cost that much.")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[SETTINGS]")
def selftest(model: str, as_json: bool, yes: bool, words: Tuple[str, ...]) -> int:
    """Ask, judge, and tell."""
    settings = config.load(list(words), serving=False)
    if not settings.url:
        raise config.ConfigError("give --url, the provider to be tested")
    check(settings)
    embedded = settings.url.lower().startswith("demo:")
    if not model and not embedded:
        raise config.ConfigError("give --model, the model to ask for")
    family = family_for(settings)
    provider = Provider(settings, family.endpoints, family.base)
    try:
        asker = Asker(provider, family.main, model or "demo", settings.api_key)
        if not embedded:
            _tell_cost(asker, settings, yes)
        heard = _asked(asker)
    finally:
        provider.close()
    results = _without_credentials(_judged(heard), settings)
    _tell(results, settings, family, model or "demo", as_json)
    return _status(heard, results)


def run(words: Sequence[str]) -> int:
    """Run the command; the exit status. Raises click's exceptions for what was asked wrong."""
    try:
        with selftest.make_context(f"{config.program()} selftest", list(words) or ["--help"]) as context:
            found = int(selftest.invoke(context))
        sys.stdout.flush()
        return found
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        nobody_reads()
        return 1


def _tell_cost(asker: Asker, settings: Settings, yes: bool) -> None:
    asks, sent, answered = cost(asker.sizes(QUESTIONS.values()))
    told = f"This asks {config.mask_url(settings.url)} {asks} times: about {sent} tokens in, at most {answered} out."
    click.echo(told, err=True)
    if not yes and sys.stdin.isatty() and sys.stderr.isatty():
        click.confirm("Go on?", abort=True, err=True)


def _asked(asker: Asker) -> Dict[str, Heard]:
    heard: Dict[str, Heard] = {}
    for name, question in QUESTIONS.items():
        heard[name] = asker.ask(question)
        if len(heard) == 2 and _cannot(heard):
            break  # the others would fare no better
    return heard


def _judged(heard: Dict[str, Heard]) -> List[Result]:
    results = []
    for row in ROWS:
        if row.question in heard:
            verdict = row.judge(heard[row.question])
            seen = {"status": heard[row.question].status, "told": verdict.told, "repairs": verdict.repairs}
            results.append({"check": row.name, "state": verdict.state, **seen})
    return results


def _without_credentials(results: List[Result], settings: Settings) -> List[Result]:
    """A provider may repeat the key that it refuses."""
    look_for = needles(secrets_in(settings))
    return [{**result, "told": hide(look_for.clean(result["told"]))} for result in results]


def _status(heard: Dict[str, Heard], results: List[Result]) -> int:
    if _cannot(heard):
        return CANNOT
    return 0 if all(result["state"] in GOOD for result in results) else 1


def _cannot(heard: Dict[str, Heard]) -> bool:
    """Whether the provider answers nothing: it is not there, or wants another key, model or day."""
    return all(one.status in (None, 401, 403, 404, 429) for one in (heard["whole"], heard["stream"]))


def _tell(results: List[Result], settings: Settings, family: Family, model: str, as_json: bool) -> None:
    if as_json:
        about = {"url": config.mask_url(settings.url), "dialect": family.main.name, "model": model}
        say(json.dumps({**about, "checks": results}, indent=2))
        return
    heads, rows = _fitting([_cells(result) for result in results], shutil.get_terminal_size((120, 24)).columns)
    say(table(heads, rows, len(heads)))
    counts = {state: sum(result["state"] == state for result in results) for state in (MENDED, UNSOUND)}
    say(f"\n{len(results)} checks: {counts[MENDED]} that the proxy mends, {counts[UNSOUND]} unsound.")


def _fitting(rows: List[List[str]], width: int) -> Tuple[List[str], List[List[str]]]:
    """The table as it is if it is not too wide; else without its last column, and what is told in several lines."""
    wide = [max(map(len, column)) + 2 for column in zip(HEADS, *rows)]
    if sum(wide) - 2 <= width:
        return HEADS, rows
    room = max(NARROWEST, width - sum(wide[:3]))
    fitted: List[List[str]] = []
    for *begin, what, repairs in rows:
        told = "; ".join(filter(None, (what, repairs and f"mends {repairs}")))
        first, *more = textwrap.wrap(told, room) or [""]
        fitted += [[*begin, first], *(["", "", "", line] for line in more)]
    return HEADS[:4], fitted


def _cells(result: Result) -> List[str]:
    told = " ".join(harmless(result["told"]).split())
    short = told if len(told) <= WIDEST else told[: WIDEST - 3] + "..."
    return [result["check"], str(result["status"] or "-"), result["state"], short, ", ".join(result["repairs"])]
