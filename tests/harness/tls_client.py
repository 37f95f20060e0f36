"""A TLS client that can offer Token Binding (RFC 8472), or whatever a test puts into extension 24."""

import ctypes
import io
import socket
import struct
from ctypes import byref, c_size_t
from dataclasses import dataclass
from pathlib import Path

from . import openssl
from .pki import Identity

TOKEN_BINDING = 24
TLS_1_2, TLS_1_3 = 0x0303, 0x0304
_TIMEOUT = 15
_EXPORTER_LABEL = b"EXPORTER-Token-Binding"
_ALERTS = range(1000, 1256)  # OpenSSL's reasons for alerts that came from the peer
_CONTEXTS = openssl.IN_CLIENT_HELLO | openssl.IN_SERVER_HELLO_1_2 | openssl.IN_ENCRYPTED_EXTENSIONS


class TlsError(OSError):
    """The connection failed; `alert` is the number that the server sent, if it sent one."""

    def __init__(self, reason: int, text: str):
        super().__init__(text)
        self.alert = reason - 1000 if reason in _ALERTS else None


@dataclass(frozen=True)
class Hello:
    """What the client offers. `token_binding` is the body of extension 24; without it there is none.
    Of the connection's ClientHellos the first `silent` do without, and so do all after the next `offers`.
    """

    token_binding: bytes | None = None
    silent: int = 0
    offers: int = 100
    version: int | None = None
    server_name: str | None = "localhost"
    protocols: tuple = ("http/1.1",)
    ca: Path | None = None
    identity: Identity | None = None
    tickets: bool = True
    extended_master_secret: bool = True
    groups: str = ""


class Session:
    """What a later connection resumes."""

    def __init__(self, pointer):
        self.pointer = pointer

    @property
    def resumable(self) -> bool:
        return bool(openssl.SSL_SESSION_is_resumable(self.pointer))

    @property
    def by_ticket(self) -> bool:
        """In TLS 1.3 always: a stateful server's ticket holds the session's id."""
        return bool(openssl.SSL_SESSION_has_ticket(self.pointer))

    @property
    def early_data(self) -> int:
        """How many bytes of it the server would take."""
        return openssl.SSL_SESSION_get_max_early_data(self.pointer)

    def __del__(self):
        openssl.SSL_SESSION_free(self.pointer)


class Tls:
    """One connection, its handshake done. Reads and writes block, at most for a timeout."""

    def __init__(self, port: int, hello: Hello, session: Session | None = None, early_data: bytes = b""):
        self._ssl = None
        self._context = openssl.SSL_CTX_new(openssl.TLS_client_method())
        self.hellos = 0  # two after a HelloRetryRequest, one more with each renegotiation
        self.negotiated = None  # the body of the server's extension 24
        self.early_data_accepted = False
        self.socket = socket.create_connection(("127.0.0.1", port), _TIMEOUT)
        try:
            self._configure(hello)
            self._open(hello, session)
            self._shake_hands(early_data)
        except BaseException:
            self.close()
            raise

    def _configure(self, hello: Hello):
        context = self._context
        for limit in (openssl.SET_MIN_VERSION, openssl.SET_MAX_VERSION):
            if hello.version:
                _sound(openssl.SSL_CTX_ctrl(context, limit, hello.version, None))
        if hello.groups:
            _sound(openssl.SSL_CTX_ctrl(context, openssl.SET_GROUPS, 0, hello.groups.encode()))
        options = 0 if hello.tickets else openssl.NO_TICKET
        options |= 0 if hello.extended_master_secret else openssl.NO_EXTENDED_MASTER_SECRET
        openssl.SSL_CTX_set_options(context, options)
        openssl.SSL_CTX_set_verify(context, openssl.VERIFY_PEER if hello.ca else openssl.VERIFY_NONE, None)
        if hello.ca:
            _sound(openssl.SSL_CTX_load_verify_file(context, bytes(hello.ca)))
        if hello.identity:
            certificate, key = bytes(hello.identity.certificate), bytes(hello.identity.key)
            _sound(openssl.SSL_CTX_use_certificate_chain_file(context, certificate))
            _sound(openssl.SSL_CTX_use_PrivateKey_file(context, key, openssl.FILE_OF_PEM))
        openssl.SSL_CTX_set_post_handshake_auth(context, 1)
        names = b"".join(bytes([len(name)]) + name.encode() for name in hello.protocols)
        if names and openssl.SSL_CTX_set_alpn_protos(context, names, len(names)):  # zero is success here
            raise ValueError(hello.protocols)
        if hello.token_binding is not None:
            self._add_extension(hello.token_binding, range(hello.silent, hello.silent + hello.offers))

    def _add_extension(self, body: bytes, offering: range):
        """In these ClientHellos of the connection, counted from zero. The callbacks belong to this object,
        so that they live as long as the connection."""
        buffer = (ctypes.c_ubyte * len(body)).from_buffer_copy(body)

        def add(_ssl, _type, _where, out, length, *_):
            self.hellos += 1
            if self.hellos - 1 not in offering:
                return 0
            self.negotiated = None  # until this ClientHello is answered
            out[0] = ctypes.cast(buffer, openssl.BYTES)
            length[0] = len(body)
            return 1

        def parse(_ssl, _type, _where, data, length, *_):
            self.negotiated = ctypes.string_at(data, length)
            return 1

        self._callbacks = (openssl.ADD(add), openssl.FREE(), openssl.PARSE(parse))
        add, free, parse = self._callbacks
        _sound(
            openssl.SSL_CTX_add_custom_ext(self._context, TOKEN_BINDING, _CONTEXTS, add, free, None, parse, None)
        )

    def _open(self, hello: Hello, session: Session | None):
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(True)
        for limit in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            self.socket.setsockopt(socket.SOL_SOCKET, limit, struct.pack("ll", _TIMEOUT, 0))
        self._ssl = openssl.SSL_new(self._context)
        if hello.server_name:
            _sound(openssl.SSL_ctrl(self._ssl, openssl.SET_SERVER_NAME, 0, hello.server_name.encode()))
        if session:
            _sound(openssl.SSL_set_session(self._ssl, session.pointer))
        _sound(openssl.SSL_set_fd(self._ssl, self.socket.fileno()))

    def _shake_hands(self, early_data: bytes):
        openssl.ERR_clear_error()
        if early_data:
            written = byref(c_size_t())
            self._check(openssl.SSL_write_early_data(self._ssl, early_data, len(early_data), written))
        self._check(openssl.SSL_connect(self._ssl))
        if early_data:
            status = openssl.SSL_get_early_data_status(self._ssl)
            self.early_data_accepted = status == openssl.EARLY_DATA_ACCEPTED

    @property
    def ekm(self) -> bytes:
        """The exporter of RFC 8471, section 3.3, as it is now: renegotiation changes it."""
        return openssl.exported(self._ssl, _EXPORTER_LABEL, 32)

    @property
    def resumed(self) -> bool:
        return bool(openssl.SSL_session_reused(self._ssl))

    @property
    def version(self) -> str:
        return openssl.SSL_get_version(self._ssl).decode()

    @property
    def protocol(self) -> str:
        """What ALPN chose."""
        return openssl.application_protocol(self._ssl)

    @property
    def extended_master_secret(self) -> bool:
        return openssl.SSL_ctrl(self._ssl, openssl.HAS_EXTENDED_MASTER_SECRET, 0, None) == 1

    def session(self) -> Session:
        """To be resumed later. In TLS 1.3 it comes after the handshake: read something first."""
        session = Session(openssl.SSL_get1_session(self._ssl))
        if not session.resumable:
            raise ValueError("the server gave no session that could be resumed")
        return session

    def read(self, size: int) -> bytes:
        """At least one byte, or none at the end."""
        buffer, count = ctypes.create_string_buffer(size), c_size_t()
        if not self._ssl:
            raise ValueError("the connection has been closed")
        openssl.ERR_clear_error()
        result = openssl.SSL_read_ex(self._ssl, buffer, size, byref(count))
        if result == 1:
            return buffer.raw[: count.value]
        if openssl.SSL_get_error(self._ssl, result) == openssl.CLOSED:
            return b""
        return self._check(result)

    def sendall(self, data: bytes):
        openssl.ERR_clear_error()
        self._check(openssl.SSL_write_ex(self._ssl, bytes(data), len(data), byref(c_size_t())))

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What http.client reads its answers from."""
        return io.BufferedReader(_Reading(self))

    def close(self):
        if self._ssl:
            # Without a farewell OpenSSL would not let the session be resumed.
            openssl.SSL_shutdown(self._ssl)
            openssl.SSL_free(self._ssl)
            self._ssl = None
        if self._context:
            openssl.SSL_CTX_free(self._context)
            self._context = None
        self.socket.close()

    def _check(self, result: int) -> bytes:
        if result == 1:
            return b""
        kind = openssl.SSL_get_error(self._ssl, result)
        if kind == openssl.WANT_READ:
            raise TimeoutError("the server is silent")
        reason, text = openssl.last_error()
        openssl.ERR_clear_error()
        raise TlsError(reason, "the connection broke" if kind == openssl.SYSTEM else text)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class _Reading(io.RawIOBase):
    def __init__(self, tls: Tls):
        self._tls = tls

    def readable(self):
        return True

    def readinto(self, buffer):
        data = self._tls.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _sound(result: int):
    if result != 1:
        raise ValueError(openssl.last_error()[1])
