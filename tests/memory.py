"""Memory of arrays while a function runs."""

import tracemalloc


def peak_memory(call):
    """Measure the bytes that numpy and Python hold at most while a function runs."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
