"""One signed token in its compact form (RFC 7515): what its header may say, and whose signature it bears."""

import re
from binascii import a2b_base64
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

import orjson
from joserfc.jwa import EdDSAAlgorithm, ESAlgorithm, JWSAlgModel, RSAAlgorithm

from shared.identity.jwks import SigningKey

#: Three parts, none of them empty: an unsigned token has no third one. Source: RFC 6750, section 2.1; RFC 7515, 7.1.
_BEARER = re.compile(rb"(?i:bearer) +([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")


class Reason(StrEnum):
    """Why nobody was authenticated: the whole vocabulary, for logs and metrics."""

    ABSENT = "absent"
    REPEATED = "repeated"
    UNREADABLE = "unreadable"
    TOO_LARGE = "too_large"
    MALFORMED = "malformed"
    ALGORITHM = "algorithm"
    CRITICAL_HEADER = "critical_header"
    KEY_ID = "key_id"
    UNKNOWN_KEY = "unknown_key"
    SIGNATURE = "signature"
    CLAIMS = "claims"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    SUBJECT = "subject"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"


class NotAuthenticated(Exception):
    """Nobody is proven to have sent this. The text is the reason and holds nothing of the token."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class UnknownKey(NotAuthenticated):
    """No key of this name may verify a record of this time; a newer key set may hold one."""

    def __init__(self, kid: str) -> None:
        super().__init__(Reason.UNKNOWN_KEY)
        self.kid = kid


class _Ed25519(EdDSAAlgorithm):
    # The library warns at each use, because the same name also covers Ed448; here no other curve is ever imported.
    security_warning = ""


#: All the algorithms there are. Source: contracts, "Tokens".
_ALGORITHMS: Mapping[str, JWSAlgModel] = {
    "RS256": RSAAlgorithm(256),
    "ES256": ESAlgorithm("ES256", "P-256", 256),
    "EdDSA": _Ed25519(),
}


_STANDARD_ALPHABET = bytes.maketrans(b"-_", b"+/")
#: What a last character may be when it carries four bits, or two: the others in it are zero. Source: RFC 4648, 3.5.
_LAST = {2: frozenset(b"AQgw"), 3: frozenset(b"AEIMQUYcgkosw048")}


@dataclass(frozen=True, slots=True)
class SignedToken:
    """A token with an acceptable header. Nothing it says is proven before `is_signed_by` agrees."""

    algorithm: str
    kid: str
    _header: bytes
    _payload: bytes
    _signature: bytes

    def is_signed_by(self, key: SigningKey) -> bool:
        """Whether this key, by its one algorithm, made the signature over header and payload."""
        if key.algorithm != self.algorithm:
            return False
        try:
            signature = _decoded(self._signature)
        except ValueError:
            return False
        # Only the checked algorithm is asked: no `jwk`, `jku`, `x5u` or `x5c` of the token reaches the library.
        return _ALGORITHMS[self.algorithm].verify(self._header + b"." + self._payload, signature, key.key)

    def claims(self) -> dict[str, Any]:
        """The claims set, to be believed only after `is_signed_by`.

        Raises:
            NotAuthenticated: the payload is no JSON object.
        """
        return _json_object(self._payload, otherwise=Reason.CLAIMS)


def read_token(authorization: bytes) -> SignedToken:
    """Read the value `Bearer <JWT>`; parameters of the token's header that are not needed are ignored.

    Raises:
        NotAuthenticated: another scheme, no signed compact token, an algorithm that is not accepted, a `crit`, or
            no `kid`. Source: contracts, "Tokens".
    """
    match = _BEARER.fullmatch(authorization)
    if match is None:
        raise NotAuthenticated(Reason.MALFORMED)
    return SignedToken(*_read_header(match[1]), *match.groups())


@lru_cache(maxsize=256)
def _read_header(segment: bytes) -> tuple[str, str]:
    """The algorithm and the key's name; an issuer's tokens share their header as long as it keeps its key."""
    header = _json_object(segment, otherwise=Reason.MALFORMED)
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in _ALGORITHMS:
        raise NotAuthenticated(Reason.ALGORITHM)
    if "crit" in header:
        raise NotAuthenticated(Reason.CRITICAL_HEADER)
    if not isinstance(kid, str) or not kid:
        raise NotAuthenticated(Reason.KEY_ID)
    return algorithm, kid


def _json_object(segment: bytes, *, otherwise: Reason) -> dict[str, Any]:
    try:
        value = orjson.loads(_decoded(segment))
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise NotAuthenticated(otherwise)
    return value


def _decoded(segment: bytes) -> bytes:
    """The bytes of canonical base64url; the token's pattern has seen to its alphabet.

    Raises:
        ValueError: its length is impossible, or its last character says more than it may.
    """
    beyond = len(segment) % 4
    if beyond == 1 or (beyond and segment[-1] not in _LAST[beyond]):
        raise ValueError("not canonical")
    return a2b_base64(segment.translate(_STANDARD_ALPHABET) + b"=" * (-beyond % 4))
