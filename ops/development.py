"""The development identity: a key pair in a directory, its public key set, and the tokens it signs."""

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

import orjson
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, RSAKey

from shared.clock import Clock, system_clock

#: Who signs development tokens, and for whom.
ISSUER = "https://lesson-progress.localhost/"
AUDIENCE = "lesson-progress"
#: The public key set, which services read, and the private key, which only its owner may read.
KEY_SET_FILE = "jwks.json"
PRIVATE_KEY_FILE = "private.json"


class SigningAlgorithm(StrEnum):
    """How development tokens are signed: RS256 verifies twice as fast, ES256 signs seven times as fast."""

    RS256 = "RS256"
    ES256 = "ES256"


@dataclass(frozen=True, slots=True)
class DevelopmentIdentity:
    """Signs tokens that the services of one stack believe. Never for production: its key lies in a file."""

    _key: RSAKey | ECKey
    #: The key set to hand to the services.
    key_set: Path
    _clock: Clock = system_clock

    @classmethod
    def create(
        cls, directory: Path, *, algorithm: SigningAlgorithm = SigningAlgorithm.RS256, clock: Clock = system_clock
    ) -> Self:
        """The identity of this directory: the one that is there, otherwise a new one.

        `algorithm` is that of a new key; a key that is there keeps its own.
        """
        if not (directory / PRIVATE_KEY_FILE).exists():
            key = _generate(algorithm)
            private = {**key.as_dict(private=True), "alg": str(algorithm), "use": "sig"}
            _write(directory / PRIVATE_KEY_FILE, private, mode=0o600)
        return cls.load(directory, clock=clock)

    @classmethod
    def load(cls, directory: Path, *, clock: Clock = system_clock) -> Self:
        """The identity of this directory; its key set is written anew from the private key.

        Raises:
            FileNotFoundError: there is none.
            ValueError: the file holds something else.
        """
        key = _read(directory / PRIVATE_KEY_FILE)
        _write(directory / KEY_SET_FILE, {"keys": [key.as_dict(private=False)]}, mode=0o644)
        return cls(key, directory / KEY_SET_FILE, clock)

    def publish(self, directory: Path) -> Path:
        """Write the key set into another directory, for those who must not see the private key; answers its path."""
        directory.mkdir(parents=True, exist_ok=True)
        _write(directory / KEY_SET_FILE, orjson.loads(self.key_set.read_bytes()), mode=0o644)
        return directory / KEY_SET_FILE

    def mint(
        self, sub: str, *, operator: bool = False, lifetime_seconds: int = 3600, issued_at: int | None = None
    ) -> str:
        """A token for this user, without the word `Bearer`.

        `issued_at` is in epoch milliseconds, as every moment of the product; None is now. The token expires
        `lifetime_seconds` after it.
        """
        seconds = (self._clock() if issued_at is None else issued_at) // 1000
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": sub,
            "iat": seconds,
            "exp": seconds + lifetime_seconds,
            "roles": ["operator"] if operator else [],
        }
        algorithm = str(self._key.alg)
        return jwt.encode({"alg": algorithm, "kid": self._key.kid}, claims, self._key, algorithms=[algorithm])


def _read(path: Path) -> RSAKey | ECKey:
    document = orjson.loads(path.read_bytes())
    try:
        key = JWKRegistry.import_key(document)
    except (JoseError, ValueError, TypeError, LookupError, AttributeError) as problem:  # whatever else is in the file
        raise ValueError(f"{path} holds no key ({type(problem).__name__})") from None
    if not isinstance(key, RSAKey | ECKey) or not key.is_private or key.alg not in set(SigningAlgorithm):
        raise ValueError(f"{path} holds no key of the development identity")
    return key


def _generate(algorithm: SigningAlgorithm) -> RSAKey | ECKey:
    """A new key, named by its thumbprint (RFC 7638)."""
    if algorithm is SigningAlgorithm.ES256:
        return ECKey.generate_key("P-256", auto_kid=True)
    return RSAKey.generate_key(2048, auto_kid=True)


def _write(path: Path, document: object, *, mode: int) -> None:
    """Replace a file at once, so that no reader sees half of it and nobody else ever may read a private one."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:  # noqa: PTH123 - with a mode
        file.write(orjson.dumps(document))
    unfinished.replace(path)
