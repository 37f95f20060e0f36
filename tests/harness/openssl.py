"""The system's OpenSSL by way of ctypes: the few functions that the tests' own TLS client calls.

Python's ssl module cannot add an extension to a ClientHello, nor export keying material.
"""

import ctypes
from ctypes import CFUNCTYPE, POINTER, byref, c_char_p, c_int, c_long, c_size_t, c_ubyte, c_uint, c_uint64, c_void_p

_ssl = ctypes.CDLL("libssl.so.3")
_crypto = ctypes.CDLL("libcrypto.so.3")

BYTES = POINTER(c_ubyte)
ADD = CFUNCTYPE(
    c_int, c_void_p, c_uint, c_uint, POINTER(BYTES), POINTER(c_size_t), c_void_p, c_size_t, POINTER(c_int), c_void_p
)
FREE = CFUNCTYPE(None, c_void_p, c_uint, c_uint, BYTES, c_void_p)
PARSE = CFUNCTYPE(
    c_int, c_void_p, c_uint, c_uint, BYTES, c_size_t, c_void_p, c_size_t, POINTER(c_int), c_void_p
)

# openssl/ssl.h and tls1.h, as far as they are macros.
IN_CLIENT_HELLO, IN_SERVER_HELLO_1_2, IN_ENCRYPTED_EXTENSIONS = 0x80, 0x100, 0x400
NO_EXTENDED_MASTER_SECRET, NO_TICKET = 1 << 0, 1 << 14
VERIFY_NONE, VERIFY_PEER = 0, 1
FILE_OF_PEM = 1
SET_GROUPS, SET_MIN_VERSION, SET_MAX_VERSION = 92, 123, 124  # SSL_CTX_ctrl
SET_SERVER_NAME, HAS_EXTENDED_MASTER_SECRET, HAS_SECURE_RENEGOTIATION = 55, 122, 76  # SSL_ctrl
EARLY_DATA_ACCEPTED = 2
WANT_READ, SYSTEM, CLOSED = 2, 5, 6


def _function(library, name: str, result, *arguments):
    found = getattr(library, name)
    found.restype, found.argtypes = result, arguments
    return found


TLS_client_method = _function(_ssl, "TLS_client_method", c_void_p)
SSL_CTX_new = _function(_ssl, "SSL_CTX_new", c_void_p, c_void_p)
SSL_CTX_free = _function(_ssl, "SSL_CTX_free", None, c_void_p)
SSL_CTX_ctrl = _function(_ssl, "SSL_CTX_ctrl", c_long, c_void_p, c_int, c_long, c_void_p)
SSL_CTX_set_options = _function(_ssl, "SSL_CTX_set_options", c_uint64, c_void_p, c_uint64)
SSL_CTX_set_verify = _function(_ssl, "SSL_CTX_set_verify", None, c_void_p, c_int, c_void_p)
SSL_CTX_load_verify_file = _function(_ssl, "SSL_CTX_load_verify_file", c_int, c_void_p, c_char_p)
SSL_CTX_use_certificate_chain_file = _function(
    _ssl, "SSL_CTX_use_certificate_chain_file", c_int, c_void_p, c_char_p
)
SSL_CTX_use_PrivateKey_file = _function(_ssl, "SSL_CTX_use_PrivateKey_file", c_int, c_void_p, c_char_p, c_int)
SSL_CTX_set_alpn_protos = _function(_ssl, "SSL_CTX_set_alpn_protos", c_int, c_void_p, c_char_p, c_uint)
SSL_CTX_set_post_handshake_auth = _function(_ssl, "SSL_CTX_set_post_handshake_auth", None, c_void_p, c_int)
SSL_CTX_add_custom_ext = _function(
    _ssl, "SSL_CTX_add_custom_ext", c_int, c_void_p, c_uint, c_uint, ADD, FREE, c_void_p, PARSE, c_void_p
)
SSL_new = _function(_ssl, "SSL_new", c_void_p, c_void_p)
SSL_free = _function(_ssl, "SSL_free", None, c_void_p)
SSL_ctrl = _function(_ssl, "SSL_ctrl", c_long, c_void_p, c_int, c_long, c_void_p)
SSL_set_fd = _function(_ssl, "SSL_set_fd", c_int, c_void_p, c_int)
SSL_connect = _function(_ssl, "SSL_connect", c_int, c_void_p)
SSL_read_ex = _function(_ssl, "SSL_read_ex", c_int, c_void_p, c_void_p, c_size_t, POINTER(c_size_t))
SSL_write_ex = _function(_ssl, "SSL_write_ex", c_int, c_void_p, c_char_p, c_size_t, POINTER(c_size_t))
SSL_write_early_data = _function(
    _ssl, "SSL_write_early_data", c_int, c_void_p, c_char_p, c_size_t, POINTER(c_size_t)
)
SSL_get_early_data_status = _function(_ssl, "SSL_get_early_data_status", c_int, c_void_p)
SSL_shutdown = _function(_ssl, "SSL_shutdown", c_int, c_void_p)
SSL_get_error = _function(_ssl, "SSL_get_error", c_int, c_void_p, c_int)
SSL_get_version = _function(_ssl, "SSL_get_version", c_char_p, c_void_p)
SSL_session_reused = _function(_ssl, "SSL_session_reused", c_int, c_void_p)
SSL_get0_alpn_selected = _function(
    _ssl, "SSL_get0_alpn_selected", None, c_void_p, POINTER(c_void_p), POINTER(c_uint)
)
SSL_get1_session = _function(_ssl, "SSL_get1_session", c_void_p, c_void_p)
SSL_set_session = _function(_ssl, "SSL_set_session", c_int, c_void_p, c_void_p)
SSL_SESSION_free = _function(_ssl, "SSL_SESSION_free", None, c_void_p)
SSL_SESSION_is_resumable = _function(_ssl, "SSL_SESSION_is_resumable", c_int, c_void_p)
SSL_SESSION_has_ticket = _function(_ssl, "SSL_SESSION_has_ticket", c_int, c_void_p)
SSL_SESSION_get_max_early_data = _function(_ssl, "SSL_SESSION_get_max_early_data", ctypes.c_uint32, c_void_p)
SSL_export_keying_material = _function(
    _ssl, "SSL_export_keying_material",
    c_int, c_void_p, c_char_p, c_size_t, c_char_p, c_size_t, c_char_p, c_size_t, c_int,
)  # fmt: skip
ERR_clear_error = _function(_crypto, "ERR_clear_error", None)
ERR_get_error = _function(_crypto, "ERR_get_error", ctypes.c_ulong)
ERR_reason_error_string = _function(_crypto, "ERR_reason_error_string", c_char_p, ctypes.c_ulong)


def last_error() -> tuple:
    """Number and text of the oldest error in this thread's queue; the reason in the low bits."""
    number = ERR_get_error()
    reason = ERR_reason_error_string(number) if number else None
    return number & 0x7FFFFF, reason.decode() if reason else "no reason given"


def exported(ssl, label: bytes, length: int) -> bytes:
    """Keying material without a context value (RFC 5705, section 4)."""
    buffer = ctypes.create_string_buffer(length)
    if SSL_export_keying_material(ssl, buffer, length, label, len(label), None, 0, 0) != 1:
        raise ValueError("OpenSSL exports nothing before the handshake is finished")
    return buffer.raw


def application_protocol(ssl) -> str:
    """What ALPN chose, or nothing."""
    data, length = c_void_p(), c_uint()
    SSL_get0_alpn_selected(ssl, byref(data), byref(length))
    return ctypes.string_at(data, length.value).decode() if data else ""
