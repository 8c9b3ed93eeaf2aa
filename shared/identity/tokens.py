"""One signed token in its compact form (RFC 7515): what its header may say, and whose signature it bears."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
from joserfc import jws
from joserfc.jwa import EdDSAAlgorithm, ESAlgorithm, JWSAlgModel, RSAAlgorithm
from joserfc.util import urlsafe_b64decode

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


def _accepted() -> jws.JWSRegistry:
    """A registry that knows no others, so that `none` and HMAC cannot be asked for."""
    registry = jws.JWSRegistry(algorithms=_ALGORITHMS)
    registry.algorithms = {**_ALGORITHMS}
    return registry


_ACCEPTED = _accepted()


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
        # Only the checked algorithm reaches the library: no `jwk`, `jku`, `x5u` or `x5c` of the token can.
        signature = jws.CompactSignature({"alg": self.algorithm}, b"")
        signature.segments = {"header": self._header, "payload": self._payload, "signature": self._signature}
        return jws.validate_compact(signature, key.key, registry=_ACCEPTED)

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
    header = _json_object(match[1], otherwise=Reason.MALFORMED)
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in _ALGORITHMS:
        raise NotAuthenticated(Reason.ALGORITHM)
    if "crit" in header:
        raise NotAuthenticated(Reason.CRITICAL_HEADER)
    if not isinstance(kid, str) or not kid:
        raise NotAuthenticated(Reason.KEY_ID)
    return SignedToken(algorithm, kid, *match.groups())


def _json_object(segment: bytes, *, otherwise: Reason) -> dict[str, Any]:
    try:
        value = orjson.loads(urlsafe_b64decode(segment))
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise NotAuthenticated(otherwise)
    return value
