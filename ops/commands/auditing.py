"""`audit`: what does not follow from the facts, and the ordinary commands that heal it."""

from typing import TYPE_CHECKING, Annotated

import typer

from ops.commands.learning import SENT_STAYS
from ops.commands.options import JsonOption, ReportOption, TokenOption, console, print_json, run, say, write_report
from ops.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from ops.repair.findings import Finding
    from ops.repair.plan import Plan
    from ops.target import Target

# What does the work is imported when a command runs, so that `--help` is there at once.
# ruff: noqa: PLC0415

#: Findings that a person is shown; all of them are in the JSON.
_SHOWN = 50
_AGAIN = "`lesson-progress audit` lists them"


def audit(
    repair: Annotated[
        bool, typer.Option("--repair", help="Send the command that heals each finding, and wait until it did.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until everything is healed.")] = True,
    patience: Annotated[
        float, typer.Option(min=1, metavar="SECONDS", help="Wait no longer when nothing more was healed for so long.")
    ] = 60.0,
    failed: Annotated[
        bool,
        typer.Option("--failed", help="Make failed certificates again too whose cause the database does not show."),
    ] = False,
    token: TokenOption = None,
    as_json: JsonOption = False,
    report: ReportOption = None,
) -> None:
    """List what does not follow from the facts: percentages, certificates, PDFs and notifications."""
    from ops.repair.plan import plan
    from ops.target import current

    target = current(token=token)
    if repair:
        target.operator_token()  # said now, not after a long audit
    unreadable = set[tuple[str, str]]()
    findings = run(_findings(target, unreadable, try_all=failed), interrupted="nothing was changed")
    for collection, identity in sorted(unreadable)[:_SHOWN]:
        say(console())(f"passed over, since it cannot be read: {collection} {identity}")
    if as_json:
        print_json([finding.row() for finding in findings])
    if not findings and not unreadable:
        console().print("No differences: percentages, certificates and notifications follow from the facts.")
    elif findings and not as_json:
        console().print(_table(findings))
    if not repair:
        write_report(report, {"differences": [finding.row() for finding in findings], "repaired": False})
        if findings:
            raise OperatorError(f"{_differences(findings)}; `lesson-progress audit --repair` sends what heals them")
    else:
        _repair(target, findings, plan(findings), patience=patience if wait else None, failed=failed, report=report)
    if unreadable:
        raise OperatorError(
            f"{len(unreadable)} document{'' if len(unreadable) == 1 else 's'} could not be read: mend them by hand, "
            "and audit again; `lesson-progress verify` names them all"
        )


def _repair(
    target: "Target",
    findings: "Sequence[Finding]",
    planned: "Plan",
    *,
    patience: float | None,
    failed: bool,
    report: ReportOption,
) -> None:
    """Say what will be sent, send it, wait for what comes of it, and say what is left.

    Raises:
        OperatorError: something is left.
    """
    tell = say(console())
    if findings:
        console().print(_plan_table(planned))
    if planned.commands:
        tell(f"To be sent: {', '.join(f'{count} {kind}' for kind, count in planned.sent.items())}.")
        run(_send(target, planned), interrupted=SENT_STAYS)
        tell(f"{len(planned.commands)} commands sent.")
    remaining = [finding for finding in findings if finding.remedy is None]
    waited = patience is not None and bool(planned.commands)
    if waited:
        remaining += run(_left(target, planned, patience=patience or 0, failed=failed), interrupted=SENT_STAYS)
        remaining = list(dict.fromkeys(remaining))
    # In the report nothing counts as repaired before the broker has every command.
    write_report(
        report,
        {
            "differences": [finding.row() for finding in findings],
            "repaired": True,
            "sent": planned.sent,
            "left": [finding.row() for finding in remaining] if waited or not planned.commands else None,
        },
    )
    if any(finding.remedy is not None for finding in remaining):
        raise OperatorError(
            f"{_differences(remaining)} left, and nothing more was healed for {patience:g} s: are the services up? "
            f"What was sent stays in its topic; {_AGAIN}"
        )
    if remaining:
        raise OperatorError(
            f"{_differences(remaining)} left that no command heals before the cause is mended "
            f"({', '.join(sorted({finding.code or finding.kind for finding in remaining}))}); {_AGAIN}"
        )
    if waited:
        tell("Healed: an audit of these enrollments finds no difference any more.")
    elif planned.commands:
        tell("They are carried out in the background; audit again in a moment.")


async def _findings(target: "Target", unreadable: set[tuple[str, str]], *, try_all: bool) -> "list[Finding]":
    from rich.progress import Progress

    from ops.repair.auditing import auditing

    with Progress(console=console(), transient=True) as progress:
        tasks = {part: progress.add_task(f"auditing {part}", total=None) for part in ("percentages", "certificates")}
        async with auditing(target, try_all=try_all, on_unreadable=lambda *place: unreadable.add(place)) as system:
            found = system.findings(lambda part, n, of: progress.update(tasks[part], completed=n, total=of))
            return [finding async for finding in found]


async def _send(target: "Target", planned: "Plan") -> None:
    from ops.repair.carrying_out import send

    await send(target, [(remedy.topic, key, remedy.command(key)) for remedy, key in planned.commands])


async def _left(target: "Target", planned: "Plan", *, patience: float, failed: bool) -> "list[Finding]":
    from rich.progress import Progress

    from ops.repair.auditing import auditing
    from ops.repair.carrying_out import left

    ids = planned.enrollment_ids
    with Progress(console=console(), transient=True) as progress:
        task = progress.add_task("healed", total=len(ids))
        async with auditing(target, try_all=failed) as system:
            return await left(
                system,
                ids,
                patience=patience,
                on_progress=lambda waiting: progress.update(task, completed=len(ids) - waiting),
            )


def _differences(findings: "Sequence[Finding]") -> str:
    return f"{len(findings)} difference{'' if len(findings) == 1 else 's'}"


def _table(findings: "Sequence[Finding]") -> "Table":
    from rich.table import Column, Table

    table = Table(*(Column(heading, overflow="fold") for heading in ("kind", "enrollment", "what", "healed by")))
    for one in findings[:_SHOWN]:
        table.add_row(one.kind, one.enrollment_id, one.says, one.remedy.typed if one.remedy else "")
    if len(findings) > _SHOWN:
        table.add_row("…", f"and {len(findings) - _SHOWN} more", "`--json` lists all", "")
    return table


def _plan_table(planned: "Plan") -> "Table":
    from rich.table import Column, Table

    table = Table(*(Column(heading, overflow="fold") for heading in ("differences", "kind", "healed by")))
    for step in planned.steps:
        table.add_row(str(step.findings), step.kind, step.remedy or "nothing, before a person mends the cause")
    return table
