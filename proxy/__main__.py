"""The command line: `python -m proxy`, `python app.py`, `openai-forward`."""

import sys

if sys.argv[1:2] != ["logs"]:  # that serves nobody, and gevent would report its Ctrl-C with a traceback of its own
    from gevent import monkey

    monkey.patch_all()

from proxy.cli import main  # noqa: E402 - sockets must be gevent's before anybody imports them

__all__ = ["main"]

if __name__ == "__main__":
    main()
