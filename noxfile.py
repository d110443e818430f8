"""`make test-all`: the tests on every interpreter found."""

import nox

nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = True


@nox.session(python=["3.8", "3.9", "3.10", "3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    """The suite on one interpreter."""
    session.install("-q", "-r", "requirements-dev.txt")
    session.run(".ci/suite", "python", *session.posargs, external=True)
