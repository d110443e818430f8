"""The shape of the house, as ARCHITECTURE promises it: what may import what, who may do I/O, how long things get."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted([*ROOT.glob("proxy/**/*.py"), *ROOT.glob("config/**/*.py")])
PURE = [path for path in SOURCES if path.relative_to(ROOT).parts[1] in ("chat", "dialects", "framing", "headers.py")]
IMPURE = {
    "flask",
    "requests",
    "gevent",
    "urllib3",
    "socket",
    "ssl",
    "time",
    "uuid",
    "random",
    "logging",
    "os",
    "select",
}
VENDORS = re.compile(r"dashscope|ollama|anthropic|gemini|deepseek|qwen|claude|vllm", re.I)
WRITES = {"open", "write_text", "write_bytes", "mkdir", "makedirs", "unlink", "truncate"}


def named(path):
    return str(path.relative_to(ROOT))


def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imports_of(path):
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]


def top_level_imports_of(path):
    body = tree_of(path).body
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def importers_of(*modules):
    return {named(path) for path in SOURCES if set(modules) & set(imports_of(path))}


def functions():
    for path in SOURCES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield path, node


def length_of(node):
    body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
    return body[-1].end_lineno - body[0].lineno + 1


@pytest.mark.parametrize("path", PURE, ids=named)
def test_pure_code_stays_pure(path):
    assert not {name.split(".")[0] for name in imports_of(path)} & IMPURE


def test_there_is_pure_code_to_check():
    assert len(PURE) > 12


@pytest.mark.parametrize("path", [path for path in SOURCES if "dialects" not in path.parts], ids=named)
def test_vendors_are_named_in_dialects_only(path):
    code = [line.partition("#")[0] for line in path.read_text(encoding="utf-8").splitlines()]
    assert not [line for line in code if VENDORS.search(line)]


def test_requests_is_imported_at_the_providers_door_only():
    assert all(name.startswith("proxy/upstream/") for name in importers_of("requests", "urllib3"))


def test_flasks_request_is_imported_at_the_clients_door_only():
    found = importers_of("flask.request", "flask.Request")
    assert found
    assert all(name.startswith("proxy/routes/") for name in found)


def test_files_are_written_at_the_disks_door_only():
    writers = set()
    for path in SOURCES:
        for node in ast.walk(tree_of(path)):
            called = node.func if isinstance(node, ast.Call) else None
            if getattr(called, "id", getattr(called, "attr", "")) in WRITES:
                writers.add(named(path))
    # The settings' TOML file and the journals are opened for reading; the index beside them is made from them alone
    readers = {"config/reading.py", "config/file.py", "proxy/archive/files.py", "proxy/archive/index.py"}
    readers |= {"proxy/logs/__init__.py", "proxy/logs/saying.py", "proxy/logs/tail.py"}
    assert writers - readers
    # the folder where workers meet, and what they count there, is proxy/crew's
    assert all(name.startswith(("proxy/journal/", "proxy/crew/")) for name in writers - readers)


def test_gevent_is_imported_at_import_time_by_the_command_line_only():
    found = {named(path) for path in SOURCES if "gevent" in set(top_level_imports_of(path))}
    assert found <= {"proxy/__main__.py", "proxy/single.py"}  # the latter is a host itself, loaded only where it serves


def test_settings_import_nothing_that_a_host_must_patch_first():
    paths = [path for path in SOURCES if named(path).startswith("config/")]
    for path in paths:
        assert not {name.split(".")[0] for name in imports_of(path)} & {"proxy", "requests", "ssl", "gevent", "urllib3"}


def test_functions_and_modules_stay_readable():
    assert [f"{named(path)}:{node.name}" for path, node in functions() if length_of(node) > 40] == []
    assert [named(path) for path in SOURCES if path.read_text(encoding="utf-8").count("\n") > 300] == []


def test_every_dialect_has_a_folder_of_wire_cases():
    from proxy.dialects import DIALECTS

    assert DIALECTS
    for dialect in DIALECTS.values():
        folder = ROOT / "tests" / "wire" / dialect.name
        assert any(folder.iterdir()), folder
