"""Base64url as RFC 7515 wants it, and the ways in which senders get it wrong."""

import base64

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Only the one spelling that `encode` gives."""
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if encode(data) != text:
        raise ValueError(f"not base64url in its canonical form: {text!r}")
    return data


def number(value: int) -> str:
    """Base64urlUInt of RFC 7518, section 2."""
    return encode(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def misform(text: str, form: str) -> str:
    """`text` in a form that a strict reader refuses; fails where it would change nothing."""
    wrong = {
        "padded": lambda: text + "=" * (-len(text) % 4),
        "standard": lambda: text.translate(str.maketrans("-_", "+/")),
        "spaced": lambda: text[:4] + " " + text[4:],
        "newline": lambda: text[:4] + "\n" + text[4:],
        "trailing-space": lambda: text + " ",
        "nul": lambda: text + "\0",
        "spare-bits": lambda: _with_spare_bits(text),
        "upper": text.upper,
        "short": lambda: text[:-1],
        "long": lambda: text + "A",
    }[form]()
    if wrong == text:
        raise ValueError(f"{text!r} is the same in the form {form!r}")
    return wrong


def _with_spare_bits(text: str) -> str:
    if len(text) % 4 == 0:
        raise ValueError("a multiple of three bytes has no spare bits")
    return text[:-1] + _ALPHABET[_ALPHABET.index(text[-1]) + 1]
