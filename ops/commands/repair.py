"""`recalculate`, `certificates` and `audit`: what an operator does when something is wrong."""

from typing import Annotated

import typer
from rich.progress import Progress
from rich.table import Table

from ops.commands.learning import operate
from ops.commands.options import JsonOption, ReportOption, TokenOption, console, print_json, run, write_report
from ops.conversation import command_headers
from ops.errors import OperatorError
from ops.target import Target, current
from services.recalculator.app import Difference
from shared.contracts.operators import CertificateGenerate, CertificateRevoke, CourseChanged, ProgressRecalculate
from shared.contracts.topics import CERTIFICATE_COMMANDS, RECALCULATION_COMMANDS

certificates = typer.Typer(help="Make certificates again, or withdraw them.", no_args_is_help=True)


def recalculate(
    enrollment: Annotated[str, typer.Argument(help="The enrollment's id.")] = "",
    course: Annotated[str, typer.Option(help="Every enrollment of this course instead, in the background.")] = "",
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compute a percentage again from the facts."""
    target = current(token=token)
    if bool(enrollment) == bool(course):
        raise OperatorError("give either an enrollment, or --course")
    if enrollment:
        fields = {"enrollment_id": enrollment}
        operate(target, RECALCULATION_COMMANDS, enrollment, ProgressRecalculate, fields, as_json=as_json)
        return
    run(_send(target, [(course, CourseChanged(course_id=course))]))
    if as_json:
        print_json({"requested": course})
    else:
        typer.echo(f"every enrollment of {course} will be recalculated")


@certificates.command()
def regenerate(
    enrollment: Annotated[str, typer.Argument(help="The enrollment's id.")],
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a certificate again: name and title afresh, id and date kept, nobody notified again."""
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
    target = current(token=token)
    differences = run(_differences(target))
    rows = [_row(difference) for difference in differences]
    write_report(report, {"differences": rows, "repaired": repair})
    if as_json:
        print_json(rows)
    elif differences:
        console().print(_table(rows))
    if not differences:
        console().print("No differences: every percentage and certificate follows from the facts.")
        return
    if not repair:
        raise OperatorError(f"{len(differences)} differences; `lesson-progress audit --repair` sends what heals them")
    ids = sorted({difference.enrollment_id for difference in differences})
    run(_send(target, [(i, ProgressRecalculate(enrollment_id=i)) for i in ids]))
    console().print(f"{len(ids)} recalculations requested; audit again in a moment.")


async def _differences(target: Target) -> list[Difference]:
    with Progress(console=console(), transient=True) as progress:
        task = progress.add_task("auditing enrollments", total=None)
        async with target.auditor() as auditor:
            return [d async for d in auditor.differences(lambda n, of: progress.update(task, completed=n, total=of))]


async def _send(target: Target, messages: list[tuple[str, ProgressRecalculate | CourseChanged]]) -> None:
    token = target.operator_token()
    async with target.producer() as producer:
        for key, message in messages:
            headers = command_headers(type(message), token, command_id=f"repair:{key}")
            await producer.send(RECALCULATION_COMMANDS, message.to_json(), key.encode(), headers=headers)
        await producer.flush()


def _row(difference: Difference) -> dict[str, object]:
    stored, expected = difference.stored, difference.expected
    return {
        "kind": str(difference.kind),
        "enrollmentId": difference.enrollment_id,
        "storedPercent": stored.percent,
        "expectedPercent": expected.percent,
        "storedCompletedAt": stored.completed_at,
        "expectedCompletedAt": expected.completed_at,
    }


def _table(rows: list[dict[str, object]]) -> Table:
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    return table
