"""Rights on the broker follow from the topic cards: the least that each principal needs, written to one script."""

from pathlib import Path

import pytest

from ops.rights import OPERATOR, SCREENS, rights, script
from shared.contracts.topics import SERVICES, TOPICS, dead_letters_of, replays_of, reply_topic

SCRIPT = Path(__file__).parents[2] / "deploy" / "kafka" / "rights.sh"
GATEWAY = "web"


def granted(principal: str, operation: str, *, kind: str = "topic") -> set[str]:
    """The names on which a principal may do this."""
    return {
        name
        for right in rights([GATEWAY])
        if (right.principal, right.kind) == (principal, kind) and operation in right.operations
        for name in right.names
    }


def test_the_script_is_as_the_cards_say() -> None:
    assert SCRIPT.read_text() == script([GATEWAY]), (
        "deploy/kafka/rights.sh differs from the topic cards; do not edit it, run "
        "`lesson-progress topics rights --gateway web > deploy/kafka/rights.sh`"
    )


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reads_what_is_meant_for_it_and_writes_what_it_produces(service: str) -> None:
    replies = "progress.replies"
    assert granted(service, "Read") == {t.name for t in TOPICS.values() if service in t.consumers}
    assert granted(service, "Write") == {t.name for t in TOPICS.values() if service in t.producers}
    assert granted(service, "Read", kind="group") == {service}
    assert [r.names for r in rights() if r.principal == service and r.prefixed] == [(replies,)]


@pytest.mark.parametrize("principal", [*SERVICES, SCREENS, GATEWAY])
def test_nobody_but_the_operator_makes_or_alters_topics(principal: str) -> None:
    for operation in ("Create", "Alter", "AlterConfigs", "Delete", "All"):
        assert granted(principal, operation) == set()


def test_dead_letters_hold_tokens_and_are_read_by_the_operator_alone() -> None:
    letters = {f"{service}.deadletters" for service in SERVICES}
    for principal in (*SERVICES, SCREENS, GATEWAY):
        assert not granted(principal, "Read") & letters
    assert granted(OPERATOR, "Read") == set(TOPICS)


def test_a_gateway_writes_commands_of_learners_and_reads_its_own_replies() -> None:
    assert granted(GATEWAY, "Write") == {"progress.commands"}
    assert granted(GATEWAY, "Read") == {reply_topic(GATEWAY).name}


def test_an_operator_writes_commands_replays_and_marks_of_dead_letters_and_no_events() -> None:
    repairs = {name(service) for service in SERVICES for name in (dead_letters_of, replays_of)}
    events = {t.name for t in TOPICS.values() if set(t.producers) & set(SERVICES)} - repairs
    assert not granted(OPERATOR, "Write") & events
    assert granted(OPERATOR, "Write") == {t.name for t in TOPICS.values() if t.commands} | repairs


def test_a_gateway_whose_name_gives_no_topic_is_refused() -> None:
    with pytest.raises(ValueError, match="is no name for a reply topic"):
        list(rights(["no/slash"]))


def test_names_are_quoted_for_the_shell() -> None:
    assert "--group '*'" in script()


@pytest.mark.parametrize("name", [*SERVICES, OPERATOR, SCREENS])
def test_a_gateway_is_nobody_else(name: str) -> None:
    with pytest.raises(ValueError, match="is a principal of ours"):
        list(rights([name]))


def test_a_gateway_s_groups_are_no_service_s() -> None:
    [begins] = [right.names for right in rights(["p"]) if (right.principal, right.kind) == ("p", "group")]
    assert not any(service.startswith(begins) for service in SERVICES)


def test_an_operator_sends_the_groups_of_stopped_services_back_and_joins_no_other() -> None:
    assert granted(OPERATOR, "Read", kind="group") == set(SERVICES)
