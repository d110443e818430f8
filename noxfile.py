"""`make test-all`: the tests on every interpreter found."""

import subprocess

import nox

VERSIONS = ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13"]


@nox.session(venv_backend="none")
@nox.parametrize("version", VERSIONS, ids=VERSIONS)
def tests(session: nox.Session, version: str) -> None:
    """The suite on one interpreter, in the environment of `make test`, which can be made without virtualenv, too."""
    try:
        subprocess.run([f"python{version}", "-c", ""], check=True, capture_output=True, timeout=60)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        session.skip(f"python{version} is not there, or does not run")
    folder = f".venvs/{version}"
    session.run(".ci/venv", folder, f"python{version}", "requirements-dev.txt")
    session.run(".ci/suite", f"{folder}/bin/python", *session.posargs)
