"""The benchmark: what the proxy costs, beside nginx and its peers, in one run. BENCHMARKS.md tells more."""
