"""Verifies tokens of one issuer for one audience: the header, the signature, the claims, the moment."""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from shared.contracts.envelope import Headers
from shared.errors import Transient
from shared.identity.claims import ClaimRules, Identity, Proven
from shared.identity.signing_keys import KeySet
from shared.identity.tokens import NotAuthenticated, Reason, SignedToken, UnknownKey, read_token

#: The largest header value that is read, in bytes. Source: contracts, "Tokens".
MAX_BYTES = 8 * 1024
#: After so many tokens of a batch the event loop may see to others: signatures cost 0.05 to 0.2 ms each.
_BREATH = 128


def bearer(headers: Headers) -> str:
    """The value of the one `authorization` header; names are lower case and case-sensitive.

    Raises:
        NotAuthenticated: it is absent, there more than once, null, or not UTF-8. Source: contracts, "Envelope".
    """
    values = [value for name, value in headers if name == "authorization"]
    if len(values) != 1:
        raise NotAuthenticated(Reason.REPEATED if values else Reason.ABSENT)
    if values[0] is None:
        raise NotAuthenticated(Reason.UNREADABLE)
    try:
        return values[0].decode()
    except UnicodeDecodeError:
        raise NotAuthenticated(Reason.UNREADABLE) from None


class TokenVerifier:
    """Verifies tokens of one issuer for one audience, and remembers the last `cache_size` that were good.

    A token's times are judged anew against every record, whether it was seen before or not.
    """

    def __init__(
        self,
        keys: KeySet,
        *,
        issuer: str,
        audience: str,
        roles_claim: str = "roles",
        operator_role: str = "operator",
        skew_seconds: int = 30,
        cache_size: int = 10_000,
    ) -> None:
        self._keys = keys
        self._rules = ClaimRules(issuer, audience, roles_claim, operator_role, skew_seconds * 1000)
        self._cache_size = cache_size
        self._proven: OrderedDict[bytes, Proven] = OrderedDict()
        self._version = keys.version

    def verify(self, authorization: str | bytes, *, at_ms: int) -> Identity:
        """Judge one header value by the keys at hand, as of the record's time (HTTP: the clock's), epoch ms.

        Raises:
            UnknownKey: a newer key set might know the key; `authenticate` looks.
            NotAuthenticated: the token proves nothing.
        """
        value = _bounded(authorization)
        if self._version != self._keys.version:
            self._proven.clear()
            self._version = self._keys.version
        digest = sha256(value).digest()
        proven = self._proven.pop(digest, None)
        if proven is None or not proven.holds(at_ms):
            proven = self._prove(value, at_ms)
        self._proven[digest] = proven
        if len(self._proven) > self._cache_size:
            self._proven.popitem(last=False)
        return proven.identity

    async def authenticate(self, authorization: str | bytes, *, at_ms: int) -> Identity:
        """`verify`, after a look for a newer key set where the key is unknown.

        Raises:
            NotAuthenticated: the token proves nothing.
            Transient: the key is unknown, and there is no first key set yet to say that it does not exist.
        """
        [answer] = await self.authenticate_batch([(authorization, at_ms)])
        if isinstance(answer, NotAuthenticated):
            raise answer
        return answer

    async def authenticate_batch(self, batch: Sequence[tuple[str | bytes, int]]) -> list[Identity | NotAuthenticated]:
        """Judge header values, each as of its own time (epoch ms), with one look for newer keys at most.

        Raises:
            Transient: a key is unknown, and there is no first key set yet to say that it does not exist.
        """
        answers: list[Identity | NotAuthenticated] = []
        for position, (authorization, at_ms) in enumerate(batch, start=1):
            answers.append(self._answer(authorization, at_ms))
            if position % _BREATH == 0:
                await asyncio.sleep(0)
        unknown = {index: answer.kid for index, answer in enumerate(answers) if isinstance(answer, UnknownKey)}
        if unknown:
            await self._keys.refetch_for(*unknown.values())
            for index in unknown:
                answers[index] = self._answer(*batch[index])
            if not self._keys.ready and any(isinstance(answers[index], UnknownKey) for index in unknown):
                raise Transient("there is no key set yet to verify tokens with")
        return answers

    def _answer(self, authorization: str | bytes, at_ms: int) -> Identity | NotAuthenticated:
        try:
            return self.verify(authorization, at_ms=at_ms)
        except NotAuthenticated as refusal:
            return refusal

    def _prove(self, value: bytes, at_ms: int) -> Proven:
        token = read_token(value)
        trusted_until_ms = self._trusted_until(token, at_ms)
        proven = self._rules.prove(token.claims())
        if not proven.holds(at_ms):
            raise NotAuthenticated(Reason.EXPIRED if at_ms >= proven.until_ms else Reason.NOT_YET_VALID)
        return proven if trusted_until_ms >= proven.until_ms else replace(proven, until_ms=trusted_until_ms)

    def _trusted_until(self, token: SignedToken, at_ms: int) -> float:
        """The moment its key left the set, if it did, in epoch ms."""
        candidates = self._keys.find(token.kid, at_ms)
        if not candidates:
            raise UnknownKey(token.kid)
        fitting = [candidate for candidate in candidates if candidate.key.algorithm == token.algorithm]
        if not fitting:
            raise NotAuthenticated(Reason.ALGORITHM)
        for candidate in fitting:
            if token.is_signed_by(candidate.key):
                return math.inf if candidate.left_at is None else candidate.left_at
        raise NotAuthenticated(Reason.SIGNATURE)


def _bounded(authorization: str | bytes) -> bytes:
    try:
        value = authorization.encode() if isinstance(authorization, str) else authorization
    except UnicodeEncodeError:  # lone surrogates
        raise NotAuthenticated(Reason.UNREADABLE) from None
    if len(value) > MAX_BYTES:
        raise NotAuthenticated(Reason.TOO_LARGE)
    return value
