"""The benchmark: what the proxy costs, beside nginx and its peers, in one run. `make bench`; BENCHMARKS.md tells more."""
