"""Reading a published key set: which keys may verify tokens, and each by the one algorithm it fits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.util import base64_to_int

from shared.errors import Transient

#: Bits an RSA modulus must have at least. Source: contracts, "Tokens"; RFC 7518, section 3.3.
_RSA_BITS = 2048
#: A key with any of these is secret, or known to whoever published it by mistake. Source: RFC 7518, section 6.
_SECRET_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class UnusableKey(Exception):
    """This key must not verify tokens; the text says why, and holds nothing of the key."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key of the issuer. Two are the same when `kid` and thumbprint are (RFC 7638, SHA-256)."""

    kid: str
    thumbprint: str
    #: The only `alg` a token may name with this key: RS256, ES256 or EdDSA.
    algorithm: str
    key: Key = field(compare=False, repr=False)

    def public_jwk(self) -> dict[str, Any]:
        """The key as a public JWK, in its one canonical spelling."""
        return {**self.key.as_dict(private=False), "kid": self.kid}


@dataclass(frozen=True, slots=True)
class SkippedKey:
    """A key of the set that is passed over, by the `kid` it has, if any, and why."""

    kid: str | None
    reason: str


def read_key_set(document: bytes) -> tuple[dict[str, SigningKey], list[SkippedKey]]:
    """Read a JSON Web Key Set (RFC 7517, section 5): usable keys by `kid`, and those passed over.

    Different keys under one `kid` are all passed over: nothing says which of them is meant.

    Raises:
        Transient: the document is no key set; the next one may be.
    """
    keys: dict[str, SigningKey] = {}
    skipped: list[SkippedKey] = []
    ambiguous: set[str] = set()
    for jwk in _entries(document):
        try:
            key = read_key(jwk)
        except UnusableKey as unusable:
            skipped.append(SkippedKey(_kid(jwk), str(unusable)))
            continue
        if keys.setdefault(key.kid, key) != key:
            ambiguous.add(key.kid)
    for kid in sorted(ambiguous):
        del keys[kid]
        skipped.append(SkippedKey(kid, "different keys share its kid"))
    return keys, skipped


def _entries(document: bytes) -> list[object]:
    try:
        key_set = orjson.loads(document)
    except ValueError:
        key_set = None
    entries = key_set.get("keys") if isinstance(key_set, dict) else None
    if not isinstance(entries, list):
        raise Transient("it holds no JSON Web Key Set")
    return entries


def _kid(jwk: object) -> str | None:
    kid = jwk.get("kid") if isinstance(jwk, dict) else None
    return kid if isinstance(kid, str) else None


def read_key(jwk: object) -> SigningKey:
    """Take one JWK as a verification key.

    Raises:
        UnusableKey: it is private or symmetric, nameless, weak, malformed, meant for something else, or of a kind
            that no accepted algorithm uses.
    """
    kid = _kid(jwk)
    if not isinstance(jwk, dict) or not kid:
        raise UnusableKey("it has no kid")
    if not _SECRET_MEMBERS.isdisjoint(jwk):
        raise UnusableKey("it is private or symmetric")
    kty = jwk.get("kty")
    if not isinstance(kty, str) or kty not in _KINDS:
        raise UnusableKey("its key type is not accepted")
    algorithm, importer = _KINDS[kty]
    _check_purpose(jwk, algorithm)
    try:
        key = importer(jwk)
        return SigningKey(kid, key.thumbprint(), algorithm, key)
    except (JoseError, ValueError, UnsupportedAlgorithm):
        raise UnusableKey("it is malformed") from None


def _check_purpose(jwk: Mapping[str, Any], algorithm: str) -> None:
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("alg", algorithm) != algorithm:
        raise UnusableKey(f"its alg is not {algorithm}")
    if jwk.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        raise UnusableKey("it is not meant to verify signatures")


# Each importer takes only the members that make the key, and gives it back in its canonical spelling, so that
# an issuer who pads a number differently tomorrow has not changed the key.


def _rsa(jwk: Mapping[str, Any]) -> Key:
    members = _members(jwk, "kty", "n", "e")
    if base64_to_int(members["n"]).bit_length() < _RSA_BITS:
        raise UnusableKey(f"its modulus is shorter than {_RSA_BITS} bits")
    return RSAKey.import_key(RSAKey.import_key({**members}).public_key)


def _p256(jwk: Mapping[str, Any]) -> Key:
    _check_curve(jwk, "P-256")
    return ECKey.import_key(ECKey.import_key({**_members(jwk, "kty", "crv", "x", "y")}).public_key)


def _ed25519(jwk: Mapping[str, Any]) -> Key:
    _check_curve(jwk, "Ed25519")
    return OKPKey.import_key(OKPKey.import_key({**_members(jwk, "kty", "crv", "x")}).public_key)


def _check_curve(jwk: Mapping[str, Any], curve: str) -> None:
    if jwk.get("crv") != curve:
        raise UnusableKey(f"its curve is not {curve}")


def _members(jwk: Mapping[str, Any], *names: str) -> dict[str, str]:
    members = {name: value for name in names if isinstance(value := jwk.get(name), str)}
    if len(members) < len(names):
        raise UnusableKey("it is malformed")
    return members


#: Key type → the algorithm it fits, and how it is imported. Source: contracts, "Tokens".
_KINDS: Mapping[str, tuple[str, Callable[[Mapping[str, Any]], Key]]] = {
    "RSA": ("RS256", _rsa),
    "EC": ("ES256", _p256),
    "OKP": ("EdDSA", _ed25519),
}
