"""One short script a question; run with ``python -m benchmarks.NAME``."""
