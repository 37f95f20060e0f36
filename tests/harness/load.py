"""Load: clients that go on asking while a test does something to the server."""

import http.client
import ssl
import threading
from collections import Counter
from typing import Callable

from .client import Address, Connection

# A server may close a kept-alive connection between two requests (RFC 9112, section 9.3.1): the
# client comes again on a new one, and that one has to work.
NOBODY = (http.client.RemoteDisconnected, ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)


class Load:
    """`clients` threads, each with a connection of its own.

    `ask` gets a function that sends one request and returns its answer; whatever it raises, and
    whatever status it does not expect, is a failure.
    """

    def __init__(self, address: Address, context, ask: Callable, clients: int = 4):
        self._address = address
        self._context = context
        self._ask = ask
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]
        self.statuses = Counter()
        self.failures = []

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self):
        client = Client(self._address, self._context)
        while not self._over.is_set():
            try:
                self.statuses[self._ask(client.request).status] += 1
            except Exception as failure:  # every kind counts, and none may end the load
                self.failures.append(failure)
                client.close()
                self._over.wait(0.01)
        client.close()


class Client:
    """Keeps a connection, and opens another when the server has closed it."""

    def __init__(self, address: Address, context):
        self._address = address
        self._context = context
        self._connection = None

    def request(self, *request):
        if self._connection and self._connection.kept:
            try:
                return self._connection.request(*request)
            except NOBODY:
                self.close()
        self._connection = Connection(self._address, self._context)
        return self._connection.request(*request)

    def close(self):
        if self._connection:
            self._connection.close()
            self._connection = None
