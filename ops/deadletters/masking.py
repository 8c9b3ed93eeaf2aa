"""What of a dead letter may be shown: everything but what lets its reader act as somebody else."""

import re

MASK = "***"

#: In the names of headers and of fields whose values are secrets, as senders write them.
_NAMES = r"authorization|token|secret|passw|cookie|credential|api[-_]?key|bearer|jwt|session"
_SECRET_NAME = re.compile(_NAMES, re.IGNORECASE)
#: A JSON member; the value may have been cut.
_SECRET_MEMBER = re.compile(
    rf'("[^"\\]{{0,64}}?(?:{_NAMES})[^"\\]{{0,64}}"\s*:\s*)("(?:[^"\\]|\\.)*"?|[^\s,}}\]]+)', re.IGNORECASE
)
#: Base64url that begins as a JSON object does, and what hangs on it by dots: a JWT, of which a part may have been cut.
_JWT = re.compile(r"eyJ[A-Za-z0-9_=-]{6,}(?:\.[A-Za-z0-9_=-]*)*")
_BEARER = re.compile(r"\b(bearer(?=\s+[^\s\"])|basic(?=\s+[A-Za-z0-9+/]{6,}=))\s+[^\s\"]+", re.IGNORECASE)


def readable(data: bytes) -> str:
    """Bytes as one line without tokens that harms no terminal: what moves a cursor, or is no text, is escaped."""
    text = masked(data.decode("utf-8", "backslashreplace"))
    return text if text.isprintable() else "".join(c if c.isprintable() else _escape(c) for c in text)


def masked(text: str) -> str:
    """The text without tokens."""
    return _JWT.sub(MASK, _BEARER.sub(rf"\1 {MASK}", _SECRET_MEMBER.sub(rf'\1"{MASK}"', text)))


def readable_header(name: str, value: bytes | None) -> str:
    """A header's value as it may be shown."""
    if value is None:
        return "null"
    return MASK if _SECRET_NAME.search(name) else readable(value)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
