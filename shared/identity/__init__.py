"""Who sent it: identity comes from a verified token in the header `authorization`, and from nothing else."""

from shared.identity.claims import Identity
from shared.identity.tokens import NotAuthenticated, Reason, UnknownKey
from shared.identity.verifier import TokenVerifier, bearer

__all__ = ["Identity", "NotAuthenticated", "Reason", "TokenVerifier", "UnknownKey", "bearer"]
