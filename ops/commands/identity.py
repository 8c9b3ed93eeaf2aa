"""`identity`: the development key, for a system that `up` did not start."""

from pathlib import Path
from typing import Annotated

import typer

from ops.errors import OperatorError

# What does the work is imported when the command runs, so that `--help` is there at once.
# ruff: noqa: PLC0415


def identity(
    directory: Annotated[Path, typer.Argument(help="Where the private key lies, for the operator's eyes alone.")],
    publish: Annotated[
        Path | None, typer.Option(help="A folder for the public key set as well, which the services read.")
    ] = None,
) -> None:
    """Make the development key if there is none, and publish its key set. Never for production."""
    from ops.development import PRIVATE_KEY_FILE, DevelopmentIdentity

    try:
        directory.mkdir(parents=True, exist_ok=True)
        made = DevelopmentIdentity.create(directory)
        published = made.publish(publish) if publish is not None else made.key_set
    except ValueError:
        raise OperatorError(
            f"{directory / PRIVATE_KEY_FILE} holds no key of this version: remove the file, or the volume it lies in, "
            "and run this again for a new key"
        ) from None
    typer.echo(f"the development key's key set is {published}")
