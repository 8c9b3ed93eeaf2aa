"""What a token's claims (RFC 7519) must say before its sender is believed, and for which moments they hold."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from shared.contracts.values import Id
from shared.identity.tokens import NotAuthenticated, Reason

_ID: TypeAdapter[str] = TypeAdapter(Id)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is proven to have sent a command or asked a question; `operator` when the token gives that role."""

    user_id: str
    operator: bool


@dataclass(frozen=True, slots=True)
class Proven:
    """Whom a token proves, and for which moments: epoch ms, the last one excluded."""

    identity: Identity
    from_ms: float
    until_ms: float

    def holds(self, at_ms: int) -> bool:
        """Whether it holds at this moment (epoch ms)."""
        return self.from_ms <= at_ms < self.until_ms


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """What this service asks of a token's claims. Source: contracts, "Tokens"."""

    issuer: str
    audience: str
    roles_claim: str
    operator_role: str
    #: How far the issuer's clock and ours may differ, milliseconds.
    skew_ms: int

    def prove(self, claims: Mapping[str, Any]) -> Proven:
        """Whom these claims prove. Only claims under a verified signature may come here; moments are not judged yet.

        Raises:
            NotAuthenticated: a claim is missing, of a wrong type, or meant for others.
        """
        if claims.get("iss") != self.issuer:
            raise NotAuthenticated(Reason.ISSUER)
        if not self._is_for_us(claims.get("aud")):
            raise NotAuthenticated(Reason.AUDIENCE)
        identity = Identity(_subject(claims.get("sub")), operator=self._is_operator(claims.get(self.roles_claim)))
        until_ms = _milliseconds(claims.get("exp")) + self.skew_ms
        from_ms = _milliseconds(claims["nbf"]) - self.skew_ms if "nbf" in claims else -math.inf
        return Proven(identity, from_ms, until_ms)

    def _is_for_us(self, audience: object) -> bool:
        audiences = [audience] if isinstance(audience, str) else audience
        return isinstance(audiences, list) and all(isinstance(a, str) for a in audiences) and self.audience in audiences

    def _is_operator(self, roles: object) -> bool:
        # Only in a list is a role a whole word: `operator` also stands in the text `cooperator`.
        return isinstance(roles, list) and self.operator_role in roles


def _subject(subject: object) -> str:
    try:
        return _ID.validate_python(subject, strict=True)
    except ValidationError:
        raise NotAuthenticated(Reason.SUBJECT) from None


def _milliseconds(seconds: object) -> float:
    """A NumericDate (RFC 7519, section 2), which is seconds and may have a fraction; JSON has no other numbers."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise NotAuthenticated(Reason.CLAIMS)
    return seconds * 1000
