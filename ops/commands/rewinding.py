"""`rewind` and `certificates restore`: what a database that was restored to an earlier moment lacks comes back."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ops.commands.choosing import now
from ops.commands.learning import SENT_STAYS
from ops.commands.options import JsonOption, TokenOption, bars, console, print_json, results, run, say
from ops.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ops.conversation import Answer
    from ops.restoring import Lost
    from ops.rewinding import Rewind
    from ops.target import Target
    from shared.contracts.operators import CertificateRestore

# What does the work is imported when a command runs, so that `--help` is there at once.
# ruff: noqa: PLC0415

#: How long nothing need be heard of a certificate before nobody is taken to be at it (seconds).
_PATIENCE_SECONDS = 60.0

YesOption = Annotated[bool, typer.Option("--yes", help="Do it; without, only say what would be done.")]


def rewind(
    service: Annotated[str, typer.Argument(help="progress, recalculator or certificates; it must be stopped.")],
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="MOMENT",
            help="Faster: only what was written since then, as 2026-01-31T03:00:00Z; it must be the moment of the "
            "backup minus the largest lag at that time.",
        ),
    ] = None,
    events: Annotated[
        bool,
        typer.Option("--events", help="Topics of events too: after Kafka was restored, never after a database was."),
    ] = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Let a stopped service handle again every command that its topics hold: after its database was restored.

    Harmless however often: what is stored already is found, not doubled.
    """
    from ops.rewinding import moment
    from ops.target import current
    from shared.contracts.topics import SERVICES

    if service not in SERVICES:
        raise OperatorError(f"there is no service {service!r}; there are {', '.join(SERVICES)}")
    since = None if to is None else moment(to, now=now())
    planned = _rewind(current(), service, since, events=events, do=yes)
    plan = run(planned, interrupted="the same command does it, or does the rest")
    if as_json:
        print_json({"service": service, "since": since, "done": yes, "partitions": [asdict(step) for step in plan]})
    else:
        _show(plan)
    out = say(results(as_json=as_json))
    for sentence in _warnings(plan, since):
        out(sentence)
    if not any(step.moves for step in plan):
        out(f"Nothing: {service} has finished nothing {_since(since)}.")
    elif yes:
        out(f"{service} handles {_count(plan)} again when it starts.")
    else:
        out(f"{service} would handle {_count(plan)} again; repeat with --yes to do it.")


async def _rewind(target: "Target", service: str, since: int | None, *, events: bool, do: bool) -> "Sequence[Rewind]":
    from ops.rewinding import Rewinder

    async with Rewinder(target, service) as rewinder:
        plan = await rewinder.plan(since, events=events)
        if do and plan:
            await rewinder.rewind(plan)
        return plan


def _show(plan: "Sequence[Rewind]") -> None:
    out = say(results())
    for step in plan:
        place = f"{step.topic}, partition {step.partition}"
        if step.moves:
            out(f"{place}: {_count([step])}, from offset {step.to_offset} on")
        if step.beyond_end:
            out(f"{place}: {step.from_offset} is committed, which is beyond its end")


def _warnings(plan: "Sequence[Rewind]", since: int | None) -> "Iterator[str]":
    if any(step.may_lack for step in plan):
        begin = "no longer hold their first records" if since is None else "begin later than that moment"
        yield f"Some of these topics {begin}: what came before their beginnings is gone."
    if any(step.beyond_end for step in plan):
        yield (
            "Kafka lost records: go back with --events and without --to, in every service and before anything more is "
            "written, because a topic that has grown past what was committed shows no sign of it."
        )


def _since(since: int | None) -> str:
    from ops.rewinding import iso

    return "that its topics still hold" if since is None else f"that was written since {iso(since)}"


def _count(plan: "Sequence[Rewind]") -> str:
    records = sum(step.records for step in plan)
    return "1 record" if records == 1 else f"{records} records"


def restore(
    since: Annotated[str, typer.Option("--since", metavar="MOMENT", help="The backup's, as 2026-01-31T03:00:00Z.")],
    yes: YesOption = False,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give certificates back that a restored database lacks, with the ids and dates that their learners have.

    They are read from `certificate.issued`, which keeps them for seven days. One that is stored stays as it is. Where
    certificates is running, what it answers is waited for; the same command asks again.
    """
    from ops.rewinding import iso, moment
    from ops.target import current

    target, begin = current(token=token), moment(since, now=now())
    if yes:
        target.operator_token()  # said now, not after a long reading
    lost = run(_lost(target, begin), interrupted="nothing was sent")
    asked = lost.certificates
    answers = run(_ask(target, asked), interrupted=SENT_STAYS) if yes and asked else None
    refused = _refused(asked, answers or {})
    if as_json:
        found = [one.model_dump(by_alias=True) for one in asked]
        lacking = {"mayLack": lost.may_lack, "unreadable": lost.unreadable}
        answered = None if answers is None else len(answers)
        told = {"since": begin, "done": yes, **lacking, "certificates": found}
        print_json({**told, "answered": answered, "refused": refused})
    out, count = say(results(as_json=as_json)), "1 certificate" if len(asked) == 1 else f"{len(asked)} certificates"
    if lost.may_lack:
        out("The topic begins later than that moment: what was issued before its beginning is gone from it.")
    if lost.unreadable:
        out(f"Unreadable records that were passed over: {lost.unreadable}; `lesson-progress verify` says where.")
    if not asked:
        out(f"Nothing: no certificate was issued since {iso(begin)}.")
    elif answers is not None:
        out(f"{count} asked for; there: {len(answers) - len(refused)}, refused: {len(refused)}.")
        _fail_unless_answered(asked, answers, refused)
    elif yes:
        out(f"{count} asked for. Certificates is not running: start it alone, and wait until its lag is 0.")
        out("The same command says then what became of each.")
    else:
        out(f"{count} would be asked for, of which those that are stored stay as they are; repeat with --yes to do it.")


async def _lost(target: "Target", since: int) -> "Lost":
    from ops.restoring import lost_certificates

    with bars(console()) as progress:
        task = progress.add_task("reading issued certificates", total=None)
        return await lost_certificates(target, since, lambda n: progress.update(task, completed=n))


async def _ask(target: "Target", lost: "Sequence[CertificateRestore]") -> "Mapping[int, Answer] | None":
    """Ask for them; the answers by their places in the list, or None where nobody is there to answer."""
    from ops.conversation import ask_all
    from ops.offsets import GroupOffsets
    from ops.repair.carrying_out import send
    from shared.contracts.topics import CERTIFICATE_COMMANDS

    async with GroupOffsets(target) as offsets:
        running = await offsets.members("certificates")
    if not running:
        await send(target, [(CERTIFICATE_COMMANDS, one.enrollment_id, one) for one in lost])
        return None
    commands = [(one.enrollment_id, one) for one in lost]
    with bars(console()) as progress:
        task = progress.add_task("answered", total=len(lost))
        return await ask_all(
            target,
            CERTIFICATE_COMMANDS,
            commands,
            patience=_PATIENCE_SECONDS,
            on_progress=lambda n: progress.update(task, completed=n),
        )


def _refused(lost: "Sequence[CertificateRestore]", answers: "Mapping[int, Answer]") -> list[dict[str, object]]:
    return [
        {"enrollmentId": lost[n].enrollment_id, "certificateId": lost[n].certificate_id, **json.loads(answer.value)}
        for n, answer in sorted(answers.items())
        if answer.rejected
    ]


def _fail_unless_answered(
    lost: "Sequence[CertificateRestore]", answers: "Mapping[int, Answer]", refused: "Sequence[dict[str, object]]"
) -> None:
    """Name what did not come back.

    Raises:
        OperatorError: something did not.
    """
    for one in refused:
        say(console())(f"refused: {one['certificateId']} of {one['enrollmentId']}: {one['code']} {one['reason']}")
    if unanswered := len(lost) - len(answers):
        raise OperatorError(
            f"{unanswered} of {len(lost)} are not answered, and nothing was heard for {_PATIENCE_SECONDS:g} s; "
            f"{SENT_STAYS}: see that certificates is up, and run the command again"
        )
    if refused:
        raise OperatorError(f"{len(refused)} of {len(lost)} were refused, and named above; the others are there")
