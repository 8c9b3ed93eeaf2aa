"""An issuer for tests: its keys, and the tokens it signs, honest and not."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, HashAlgorithm
from joserfc.util import int_to_base64, urlsafe_b64encode

#: The moment tests begin at, epoch milliseconds.
NOW = 1_800_000_000_000
ISSUER = "https://issuer.example/"
AUDIENCE = "lesson-progress"
SECOND, MINUTE, DAY = 1000, 60_000, 24 * 3600 * 1000

Json = dict[str, Any]


def claims(*without: str, **changed: object) -> Json:
    """The claims of an honest learner, valid for an hour from `NOW`."""
    honest = {"iss": ISSUER, "aud": AUDIENCE, "sub": "learner-1", "exp": NOW // 1000 + 3600}
    return {name: value for name, value in {**honest, **changed}.items() if name not in without}


def b64(data: bytes | int) -> str:
    """Base64url without padding, as JOSE writes bytes and numbers."""
    return int_to_base64(data) if isinstance(data, int) else urlsafe_b64encode(data).decode()


def compact(header: Json | bytes, payload: Json | bytes, sign: Callable[[bytes], bytes]) -> str:
    """An `authorization` value with this header and payload, whatever they hold."""
    parts = [part if isinstance(part, bytes) else orjson.dumps(part) for part in (header, payload)]
    signed = ".".join(map(b64, parts))
    return f"Bearer {signed}.{b64(sign(signed.encode()))}"


@dataclass(frozen=True)
class Signer:
    """A key pair of the issuer."""

    algorithm: str
    jwk: Json
    sign: Callable[[bytes], bytes] = field(repr=False)

    @property
    def kid(self) -> str:
        return str(self.jwk["kid"])

    def bearer(self, payload: Json | bytes | None = None, **header: object) -> str:
        """An `authorization` value signed by this key; `header` adds to its header or changes it."""
        return compact(
            {"alg": self.algorithm, "kid": self.kid, **header}, claims() if payload is None else payload, self.sign
        )


@cache
def _rsa_key(_name: str, bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def rsa_signer(kid: str = "rsa", *, bits: int = 2048) -> Signer:
    """RS256; the same kid and size always give the same key."""
    key = _rsa_key(kid, bits)
    numbers = key.public_key().public_numbers()
    jwk = {"kty": "RSA", "kid": kid, "n": b64(numbers.n), "e": b64(numbers.e)}
    return Signer("RS256", jwk, lambda data: key.sign(data, padding.PKCS1v15(), SHA256()))


def ec_signer(
    kid: str = "ec", *, curve: ec.EllipticCurve | None = None, name: str = "P-256", digest: HashAlgorithm | None = None
) -> Signer:
    """ES256 with P-256; another curve on request, to be refused."""
    key = ec.generate_private_key(curve or ec.SECP256R1())
    size = (key.key_size + 7) // 8
    numbers = key.public_key().public_numbers()

    def sign(data: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(digest or SHA256())))
        return r.to_bytes(size) + s.to_bytes(size)

    jwk = {"kty": "EC", "kid": kid, "crv": name, "x": b64(numbers.x.to_bytes(size)), "y": b64(numbers.y.to_bytes(size))}
    return Signer("ES256", jwk, sign)


def p384_signer(kid: str = "p384") -> Signer:
    """A signer that must be refused: the curve P-384."""
    return ec_signer(kid, curve=ec.SECP384R1(), name="P-384", digest=SHA384())


def ed25519_signer(kid: str = "ed") -> Signer:
    """EdDSA with Ed25519."""
    key = ed25519.Ed25519PrivateKey.generate()
    jwk = {"kty": "OKP", "kid": kid, "crv": "Ed25519", "x": b64(key.public_key().public_bytes_raw())}
    return Signer("EdDSA", jwk, key.sign)


def ed448_signer(kid: str = "ed448") -> Signer:
    """A signer that must be refused: EdDSA with Ed448."""
    key = ed448.Ed448PrivateKey.generate()
    jwk = {"kty": "OKP", "kid": kid, "crv": "Ed448", "x": b64(key.public_key().public_bytes_raw())}
    return Signer("EdDSA", jwk, key.sign)


def hmac_with(secret: bytes) -> Callable[[bytes], bytes]:
    """HS256 with any bytes for a secret."""
    return lambda data: hmac.digest(secret, data, "sha256")
