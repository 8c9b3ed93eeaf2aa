"""Addresses as they may be shown: without what only their owner may know."""

import re

_SECRET_OPTION = re.compile(r"(?i)([?&][^=&]*(?:password|token|authmechanismproperties)[^=&]*)=[^&]*")


def without_secrets(uri: str) -> str:
    """A connection string without user and password, and without options that hold a secret."""
    scheme, mark, rest = uri.partition("://")
    if not mark:
        return uri
    # A password that was not escaped may hold any mark, so everything up to the last @ goes.
    hosts = rest.rpartition("@")[2]
    return f"{scheme}://" + _SECRET_OPTION.sub(r"\1=***", hosts)


def hosts_of(uri: str) -> str:
    """The hosts and ports of a connection string, and nothing else of it."""
    return re.split(r"[/?]", without_secrets(uri).rpartition("://")[2])[0]
