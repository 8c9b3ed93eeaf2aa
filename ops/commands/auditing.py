"""`audit`: what does not follow from the facts, and the ordinary commands that heal it."""

from typing import TYPE_CHECKING, Annotated

import typer

from ops.commands.learning import SENT_STAYS
from ops.commands.options import (
    JsonOption,
    ReportOption,
    TokenOption,
    bars,
    console,
    print_json,
    results,
    run,
    say,
    write_report,
)
from ops.errors import OperatorError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ops.repair.index import Index
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
    yes: Annotated[
        bool,
        typer.Option(
            "--yes", help="Repair also what cannot be taken back: lost certificates get new ids, percentages may fall."
        ),
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
    from ops.repair.index import Index
    from ops.tables import print_table
    from ops.target import current

    target = current(token=token)
    if yes and not repair:
        raise OperatorError("--yes says what --repair may do: add --repair, or leave it out")
    if repair:
        target.operator_token()  # said now, not after a long audit
    out = results(as_json=as_json, report=report)
    with Index() as index:
        run(_find(target, index, try_all=failed), interrupted="nothing was changed")
        if not yes:
            index.hold_back()
        unreadable = index.unreadable_count()
        for collection, identity in index.unreadable(_SHOWN):
            say(console())(f"passed over, since it cannot be read: {collection} {identity}")
        if as_json:
            print_json(finding.row() for finding in index.findings())
        if not index and not unreadable:
            say(out)("No differences: percentages, certificates and notifications follow from the facts.")
        elif index and not as_json:
            print_table(_table(index), out)
        if repair:
            _repair(target, index, out, patience=patience if wait else None, failed=failed, report=report)
        else:
            _report(index, report)
    if unreadable:
        raise OperatorError(
            f"{unreadable} document{'' if unreadable == 1 else 's'} could not be read: mend them by hand, "
            "and audit again; `lesson-progress verify` names them all"
        )


def _report(index: "Index", report: ReportOption) -> None:
    """Write what was found.

    Raises:
        OperatorError: something was.
    """
    write_report(report, {"differences": (finding.row() for finding in index.findings()), "repaired": False})
    if index:
        raise OperatorError(f"{_differences(len(index))}; `lesson-progress audit --repair` sends what heals them")


def _repair(
    target: "Target", index: "Index", out: "Console", *, patience: float | None, failed: bool, report: ReportOption
) -> None:
    """Say what will be sent, send it, wait for what comes of it, and say what is left.

    Raises:
        OperatorError: something is left.
    """
    from ops.tables import print_table

    tell, planned = say(out), index.plan()
    if index:
        print_table(_plan_table(planned), out)
    if planned.commands:
        tell(f"To be sent: {', '.join(f'{count} {kind}' for kind, count in planned.sent.items())}.")
        run(_send(target, index), interrupted=SENT_STAYS)
        tell(f"{planned.commands} commands sent.")
    waited = patience is not None and bool(planned.commands)
    if waited:
        run(_wait(target, index, patience=patience or 0, failed=failed), interrupted=SENT_STAYS)
    # In the report nothing counts as repaired before the broker has every command.
    write_report(
        report,
        {
            "differences": (finding.row() for finding in index.findings()),
            "repaired": True,
            "sent": planned.sent,
            "left": (one.row() for one in index.remaining()) if waited or not planned.commands else None,
        },
    )
    _say_what_is_left(index, patience)
    if waited:
        tell("Healed: an audit of these enrollments finds no difference any more.")
    elif planned.commands:
        tell("They are carried out in the background; audit again in a moment.")


def _say_what_is_left(index: "Index", patience: float | None) -> None:
    remaining = index.remaining_count()
    if index.healable_count():
        raise OperatorError(
            f"{_differences(remaining)} left, and nothing more was healed for {patience:g} s: are the services up? "
            f"What was sent stays in its topic; {_AGAIN}"
        )
    if held := index.held_back():
        raise OperatorError(
            f"{_differences(remaining)} left, {held} of them because what heals them cannot be taken back: read what "
            "`lesson-progress audit` says of them, run `lesson-progress verify`, and add --yes when nothing "
            "brings back what was lost"
        )
    if remaining:
        raise OperatorError(
            f"{_differences(remaining)} left that no command heals before the cause is mended "
            f"({', '.join(index.remaining_causes())}); {_AGAIN}"
        )


async def _find(target: "Target", index: "Index", *, try_all: bool) -> None:
    from ops.repair.auditing import auditing

    with bars(console()) as progress:
        tasks = {part: progress.add_task(f"auditing {part}", total=None) for part in ("percentages", "certificates")}
        async with auditing(target, try_all=try_all, on_unreadable=index.add_unreadable) as system:
            found = system.findings(lambda part, n, of: progress.update(tasks[part], completed=n, total=of))
            async for finding in found:
                index.add(finding)


async def _send(target: "Target", index: "Index") -> None:
    from ops.repair.carrying_out import send

    await send(target, ((remedy.topic, key, remedy.command(key)) for remedy, key in index.commands()))


async def _wait(target: "Target", index: "Index", *, patience: float, failed: bool) -> None:
    from ops.repair.auditing import auditing
    from ops.repair.carrying_out import wait

    of = index.waiting()
    with bars(console()) as progress:
        task = progress.add_task("healed", total=of)
        async with auditing(target, try_all=failed) as system:
            await wait(
                system,
                index,
                patience=patience,
                on_progress=lambda waiting: progress.update(task, completed=of - waiting),
            )


def _differences(count: int) -> str:
    return f"{count} difference{'' if count == 1 else 's'}"


def _table(index: "Index") -> "Table":
    from rich.table import Table

    from ops.tables import exact, prose

    table = Table(exact("kind"), exact("enrollment"), prose("what"), exact("healed by"))
    for one in index.findings(_SHOWN):
        table.add_row(one.kind, one.enrollment_id, one.says, one.remedy.typed if one.remedy else "")
    if len(index) > _SHOWN:
        table.add_row("…", f"and {len(index) - _SHOWN} more", "`--json` lists all", "")
    return table


def _plan_table(planned: "Plan") -> "Table":
    from rich.table import Table

    from ops.tables import exact, prose

    table = Table(exact("differences"), exact("kind"), prose("healed by"))
    for step in planned.steps:
        nothing = "nothing without --yes" if step.held_back else "nothing, before a person mends the cause"
        table.add_row(str(step.findings), step.kind, step.remedy or nothing)
    return table
