"""Errors named for what the consumer does next, whoever raised them."""


class Transient(Exception):
    """The outside is not answering: wait with back-off and repeat, for ever; never a dead letter."""


class Permanent(Exception):
    """This record can never be handled as it is: a dead letter at once, its neighbours go on."""


class Fatal(Exception):
    """The process cannot do its work as it is configured: stop it with this one clear sentence."""
