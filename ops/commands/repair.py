"""`recalculate`, `certificates` and `audit`: what an operator does when something is wrong."""

import asyncio
import secrets
from typing import TYPE_CHECKING, Annotated

import typer

from ops.commands.learning import SENT_STAYS, operate, valid
from ops.commands.options import JsonOption, ReportOption, TokenOption, console, print_json, run, write_report
from ops.errors import OperatorError

if TYPE_CHECKING:
    from rich.table import Table

    from ops.target import Target
    from services.recalculator.app import Difference
    from shared.contracts.values import Message

# What does the work is imported when a command runs, so that `--help` is there at once.
# ruff: noqa: PLC0415

certificates = typer.Typer(help="Make certificates again, or withdraw them.", no_args_is_help=True)


def recalculate(
    enrollment: Annotated[str, typer.Argument(help="The enrollment's id.")] = "",
    course: Annotated[str, typer.Option(help="Every enrollment of this course instead, in the background.")] = "",
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compute a percentage again from the facts."""
    from ops.target import current
    from shared.contracts.operators import CourseChanged, ProgressRecalculate
    from shared.contracts.topics import RECALCULATION_COMMANDS

    target = current(token=token)
    if bool(enrollment) == bool(course):
        raise OperatorError("give either an enrollment, or --course")
    if enrollment:
        fields = {"enrollment_id": enrollment}
        operate(target, RECALCULATION_COMMANDS, enrollment, ProgressRecalculate, fields, as_json=as_json)
        return
    message = valid(CourseChanged, course_id=course)
    run(_send(target, [(course, message)]), interrupted=SENT_STAYS)
    if as_json:
        print_json({"requested": course})
    else:
        typer.echo(f"asked to recalculate every enrollment of {course}, if there is such a course")


@certificates.command()
def regenerate(
    enrollment: Annotated[str, typer.Argument(help="The enrollment's id.")],
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a certificate again: name and title afresh, id and date kept, nobody notified again."""
    from ops.target import current
    from shared.contracts.operators import CertificateGenerate
    from shared.contracts.topics import CERTIFICATE_COMMANDS

    fields = {"enrollment_id": enrollment}
    target = current(token=token)
    operate(target, CERTIFICATE_COMMANDS, enrollment, CertificateGenerate, fields, as_json=as_json)


@certificates.command()
def revoke(
    enrollment: Annotated[str, typer.Argument(help="The enrollment's id.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it; it cannot be undone.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why, for the record.")] = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Withdraw a certificate for good."""
    from ops.target import current
    from shared.contracts.operators import CertificateRevoke
    from shared.contracts.topics import CERTIFICATE_COMMANDS

    if not yes:
        raise OperatorError(f"the certificate of {enrollment} would be revoked for good; repeat with --yes to do it")
    fields = {"enrollment_id": enrollment} | ({"reason": reason} if reason else {})
    target = current(token=token)
    operate(target, CERTIFICATE_COMMANDS, enrollment, CertificateRevoke, fields, as_json=as_json)


def audit(
    repair: Annotated[bool, typer.Option("--repair", help="Send the command that heals each difference.")] = False,
    token: TokenOption = None,
    as_json: JsonOption = False,
    report: ReportOption = None,
) -> None:
    """Recompute every enrollment from the facts and list what differs."""
    from ops.target import current
    from shared.contracts.operators import ProgressRecalculate

    target = current(token=token)
    if repair:
        target.operator_token()  # said now, not after a long audit
    differences = run(_differences(target), interrupted="nothing was changed")
    rows = [_row(difference) for difference in differences]
    if as_json:
        print_json(rows)
    elif differences:
        console().print(_table(rows))
    ids = sorted({difference.enrollment_id for difference in differences}) if repair else []
    # In the report nothing counts as repaired before the broker has every command.
    if ids:
        run(_send(target, [(i, ProgressRecalculate(enrollment_id=i)) for i in ids]), interrupted=SENT_STAYS)
    write_report(report, {"differences": rows, "repaired": repair})
    if not differences:
        console().print("No differences: every percentage and certificate follows from the facts.")
        return
    if not repair:
        raise OperatorError(f"{len(differences)} differences; `lesson-progress audit --repair` sends what heals them")
    console().print(f"{len(ids)} recalculations requested; audit again in a moment.")


async def _differences(target: "Target") -> "list[Difference]":
    from rich.progress import Progress

    with Progress(console=console(), transient=True) as progress:
        task = progress.add_task("auditing enrollments", total=None)
        async with target.auditor() as auditor:
            return [d async for d in auditor.differences(lambda n, of: progress.update(task, completed=n, total=of))]


async def _send(target: "Target", messages: "list[tuple[str, Message]]") -> None:
    """Send commands, by their keys; done when the broker has all of them.

    Raises:
        OperatorError: it has not; those it has will be handled.
    """
    from ops.conversation import command_headers
    from shared.contracts.topics import RECALCULATION_COMMANDS

    token = target.operator_token()
    # An id of its own for every command: two audits are no repetition of each other.
    sending = secrets.token_hex(8)
    async with target.producer() as producer:
        acknowledged = []
        for key, message in messages:
            headers = command_headers(type(message), token, command_id=f"repair:{sending}:{key}")
            acknowledged.append(
                await producer.send(RECALCULATION_COMMANDS, message.to_json(), key.encode(), headers=headers)
            )
        await asyncio.gather(*acknowledged)


def _row(difference: "Difference") -> dict[str, object]:
    stored, expected = difference.stored, difference.expected
    return {
        "kind": str(difference.kind),
        "enrollmentId": difference.enrollment_id,
        "storedPercent": stored.percent,
        "expectedPercent": expected.percent,
        "storedCompletedAt": stored.completed_at,
        "expectedCompletedAt": expected.completed_at,
    }


def _table(rows: list[dict[str, object]]) -> "Table":
    from rich.table import Table

    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    return table
