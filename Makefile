# make run       start the proxy on its embedded provider (URL=https://... for a real one, ARGS="..." for more flags)
# make test      all that .ci/run checks: lint, types, tests on the newest and the oldest interpreter found
# make test-all  the tests on every interpreter found
# make lint      lint and types only
# make faults    README's table of faults and docs/FAULTS.md anew, from a run of tests/test_faults.py (Python 3.11 or newer)
# make lock      requirements.lock anew: the newest releases that requirements.txt allows, for each Python
# make audit     the locked releases against known vulnerabilities, our own code against known mistakes (needs Python 3.10)
# make soak      a long mixed load with faults (SECONDS=600); make fuzz: random input for the readers (SECONDS=60)
# make bench     what the proxy costs beside nginx and its peers: BENCHMARKS.md (LANES=a,b TARGETS=nginx,proxy QUICK=1
#                PROXY_ARGS="..." BENCH_ARGS="..."); make bench-profile LANE=a: where one lane's time goes

PYTHON ?= python3
URL ?= demo:
ARGS ?=
LANES ?= a,b,c,d,e,f,g,h,i,j,k,l
TARGETS ?= nginx,proxy,openai-forward,litellm
QUICK ?=
PROXY_ARGS ?=
BENCH_ARGS ?=
LANE ?= a
SECONDS ?= 60

.PHONY: run test test-all lint faults lock audit soak fuzz bench bench-profile
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

faults:
	PYTHON="$(PYTHON)" .ci/check faults

lock:
	PYTHON="$(PYTHON)" .ci/check lock

audit:
	.ci/audit "$(PYTHON)"

soak:
	PYTHON="$(PYTHON)" FORWARD_SOAK="$(SECONDS)" .ci/check soak

fuzz:
	PYTHON="$(PYTHON)" FORWARD_FUZZ="$(SECONDS)" .ci/check fuzz

bench:
	bench/setup "$(PYTHON)"
	.venvs/bench/bin/python -m bench --lanes "$(LANES)" --targets "$(TARGETS)" $(if $(QUICK),--quick) \
		--python .venvs/bench-proxy/bin/python --proxy-args="$(PROXY_ARGS)" \
		--openai-forward .venvs/bench-openai-forward/bin/python --litellm .venvs/bench-litellm/bin/python $(BENCH_ARGS)

bench-profile:
	bench/setup "$(PYTHON)"
	.venvs/bench/bin/python -m bench.profile --lane "$(LANE)" --python .venvs/bench-proxy/bin/python --proxy-args="$(PROXY_ARGS)"
