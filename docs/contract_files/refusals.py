"""What commands are refused with: each code and its reason, which gateways tell refusals apart by."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from docs.contract_files.sentences import said
from shared.contracts.rejections import CommandRejected
from shared.contracts.topics import PROGRESS_REPLIES

Json = dict[str, Any]

_KEEP = "Keep its code and its words until the next major version of the product."


class Refusal(NamedTuple):
    """One reason to refuse a command."""

    code: int
    reason: str


def refusals_in(document: Json) -> list[Refusal]:
    """Every refusal that an AsyncAPI document knows: the examples of the one message that says no are all of them."""
    message = document["components"]["messages"].get(CommandRejected.TYPE, {})
    return sorted({Refusal(e["payload"]["code"], e["payload"]["reason"]) for e in message.get("examples", [])})


def refusal_removals(released: Json, present: Json, since: str) -> Iterator[str]:
    """One sentence for each refusal that is not there any more, or is another one; new ones break nobody."""
    was, is_now = refusals_in(released), refusals_in(present)
    fresh = [refusal for refusal in is_now if refusal not in was]
    readers = released["channels"].get(PROGRESS_REPLIES, {}).get("x-consumers", ["gateways"])
    for refusal in (refusal for refusal in was if refusal not in is_now):
        yield (
            f'{CommandRejected.TYPE}: the refusal {refusal.code} "{refusal.reason}" {_became(refusal, fresh, since)}. '
            f"This breaks {said(readers)}, reading {PROGRESS_REPLIES}: they tell refusals apart by code and reason. "
            f"{_KEEP}"
        )


def _became(gone: Refusal, fresh: list[Refusal], since: str) -> str:
    codes = [str(refusal.code) for refusal in fresh if refusal.reason == gone.reason]
    if codes:
        return f"has the code {said(codes)} now"
    reasons = [f'"{refusal.reason}"' for refusal in fresh if refusal.code == gone.code]
    renamed = f"; {said(reasons)} is new: another sentence is another refusal" if reasons else ""
    return f"is gone ({since} had it{renamed})"
