# make run       start the proxy on its embedded provider (URL=https://... for a real one, ARGS="..." for more flags)
# make test      all that .ci/run checks: lint, types, tests on the newest and the oldest interpreter found
# make test-all  the tests on every interpreter found
# make lint      lint and types only
# make lock      requirements.lock anew: the newest releases that requirements.txt allows, for each Python

PYTHON ?= python3
URL ?= demo:
ARGS ?=

.PHONY: run test test-all lint lock
.SILENT:

run:
	.ci/venv .venv "$(PYTHON)" requirements.txt
	exec .venv/bin/python app.py --url "$(URL)" --expose_host 127.0.0.1 --output_path ./logs $(ARGS)

test:
	PYTHON="$(PYTHON)" .ci/check lint oldest newest

test-all:
	PYTHON="$(PYTHON)" .ci/check all

lint:
	PYTHON="$(PYTHON)" .ci/check lint

lock:
	PYTHON="$(PYTHON)" .ci/check lock
