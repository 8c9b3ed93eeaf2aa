"""`recalculate` and `certificates`: what an operator does about one enrollment, or one course."""

from typing import TYPE_CHECKING, Annotated

import typer

from ops.commands.learning import SENT_STAYS, operate, valid
from ops.commands.options import JsonOption, TokenOption, print_json, results, run, say
from ops.errors import OperatorError

if TYPE_CHECKING:
    from ops.target import Target
    from shared.contracts.values import Message

# What does the work is imported when a command runs, so that `--help` is there at once.
# ruff: noqa: PLC0415

certificates = typer.Typer(help="Make certificates again, withdraw them, or give them back.", no_args_is_help=True)


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
    run(_recalculate_course(target, course, message), interrupted=SENT_STAYS)
    if as_json:
        print_json({"requested": course})
    else:
        typer.echo(f"asked to recalculate every enrollment of {course}")


async def _recalculate_course(target: "Target", course: str, message: "Message") -> None:
    """Ask for it, of a course that there is.

    Raises:
        OperatorError: there is none, or the broker did not take the command.
    """
    from ops.repair.carrying_out import send
    from shared.contracts.topics import RECALCULATION_COMMANDS

    async with target.database() as db:
        if await db["courses"].find_one({"_id": course}, {"_id": 1}) is None:
            raise OperatorError(f"there is no course {course!r}; see the platform's collection courses for its id")
    await send(target, [(RECALCULATION_COMMANDS, course, message)])


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
        if as_json:
            print_json({"enrollmentId": enrollment, "done": False})
        tell = say(results(as_json=as_json))
        tell(f"the certificate of {enrollment} would be revoked for good; repeat with --yes to do it")
        return
    fields = {"enrollment_id": enrollment} | ({"reason": reason} if reason else {})
    target = current(token=token)
    operate(target, CERTIFICATE_COMMANDS, enrollment, CertificateRevoke, fields, as_json=as_json)
