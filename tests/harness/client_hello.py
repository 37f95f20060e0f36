"""A ClientHello written by hand (TLS 1.2, RFC 5246), for what no TLS library leaves out."""

import os
import socket

from .token_binding import vector8, vector16

EXTENDED_MASTER_SECRET, TOKEN_BINDING, RENEGOTIATION_INFO = 23, 24, 0xFF01
_SERVER_NAME, _GROUPS, _POINT_FORMATS, _ALGORITHMS = 0, 10, 11, 13
_ECDHE_ECDSA_AES128_GCM_SHA256, _SIGNALLING = 0xC02B, 0x00FF  # RFC 5746, section 3.3
_HANDSHAKE, _ALERT = 22, 21
_TIMEOUT = 5


def answered(port: int, server_name: str, extensions: dict, signalling: bool = False) -> dict | int:
    """The extensions of the ServerHello by number, or the number of the alert instead of one.

    `extensions` are bodies by number; `signalling` adds TLS_EMPTY_RENEGOTIATION_INFO_SCSV.
    """
    with socket.create_connection(("127.0.0.1", port), _TIMEOUT) as connection:
        connection.sendall(_hello(server_name, extensions, signalling))
        kind, body = _record(connection)
        if kind == _ALERT:
            return body[1]
        return _extensions_of(body)


def _hello(server_name: str, extensions: dict, signalling: bool) -> bytes:
    usual = {
        _SERVER_NAME: vector16(b"\0" + vector16(server_name.encode())),
        _GROUPS: vector16(_pair(23)),
        _POINT_FORMATS: vector8(b"\0"),
        _ALGORITHMS: vector16(_pair(0x0403) + _pair(0x0804) + _pair(0x0401)),
    }
    suites = _pair(_ECDHE_ECDSA_AES128_GCM_SHA256) + (_pair(_SIGNALLING) if signalling else b"")
    listed = b"".join(_pair(number) + vector16(body) for number, body in {**usual, **extensions}.items())
    body = _pair(0x0303) + os.urandom(32) + vector8(b"") + vector16(suites) + vector8(b"\0") + vector16(listed)
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return bytes([_HANDSHAKE]) + _pair(0x0301) + vector16(message)


def _record(connection: socket.socket) -> tuple:
    header = _exactly(connection, 5)
    return header[0], _exactly(connection, int.from_bytes(header[3:], "big"))


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise ConnectionError("the server hung up")
        data += more
    return data


def extensions_of_hello(client_hello: bytes) -> dict:
    """The extensions of somebody else's ClientHello, by number."""
    rest = _behind_session(client_hello)
    rest = rest[2 + int.from_bytes(rest[:2], "big") :]  # cipher suites
    return _extensions(rest[1 + rest[0] + 2 :])  # compression methods, length


def _extensions_of(server_hello: bytes) -> dict:
    """The ServerHello is the first handshake message of its record."""
    return _extensions(_behind_session(server_hello)[2 + 1 + 2 :])  # cipher suite, compression, length


def _behind_session(hello: bytes) -> bytes:
    """What follows version, random and session id of a handshake message."""
    body = hello[4 : 4 + int.from_bytes(hello[1:4], "big")]
    rest = body[2 + 32 :]
    return rest[1 + rest[0] :]


def _extensions(rest: bytes) -> dict:
    found = {}
    while rest:
        size = int.from_bytes(rest[2:4], "big")
        found[int.from_bytes(rest[:2], "big")] = rest[4 : 4 + size]
        rest = rest[4 + size :]
    return found


def _pair(number: int) -> bytes:
    return number.to_bytes(2, "big")
