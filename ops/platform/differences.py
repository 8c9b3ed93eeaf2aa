"""How a stored document differs from the platform's, in the fields that the platform owns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ops.platform.documents import Document


@dataclass(frozen=True, slots=True)
class Change:
    """What makes a stored document the platform's again: fields to set, and optional fields to take away."""

    id: str
    to_set: Mapping[str, Any]
    to_unset: frozenset[str]


def owned_fields(kind: type[Document]) -> Mapping[str, Any]:
    """The stored names of the platform's own fields, and what each counts as where it is absent."""
    return {
        info.alias or name: None if info.is_required() else info.default
        for name, info in kind.model_fields.items()
        if name != "id"
    }


def difference(document: Document, stored: Mapping[str, Any]) -> Change | None:
    """Compare the platform's fields alone; None when the stored document is as it should be."""
    wanted, owned = document.stored(), owned_fields(type(document))
    present = {name: stored.get(name, absent) for name, absent in owned.items()}
    to_set = {name: wanted[name] for name in owned if name in wanted and wanted[name] != present[name]}
    to_unset = frozenset(name for name in owned if name not in wanted and present[name] is not None)
    return Change(document.id, to_set, to_unset) if to_set or to_unset else None
