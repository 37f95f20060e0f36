"""Waiting for what others do in their own time."""

import contextlib
import threading
import time


def eventually(reached, seconds: float = 6):
    """Returns as soon as `reached()` holds; fails when it does not in time."""
    until = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < until, "it did not come to pass"
        time.sleep(0.05)


@contextlib.contextmanager
def in_parallel(ask, count: int):
    """`count` calls of `ask` at once; the list has all their results when the block is over."""
    results = []
    threads = [threading.Thread(target=lambda: results.append(ask())) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield results
    finally:
        for thread in threads:
            thread.join()
