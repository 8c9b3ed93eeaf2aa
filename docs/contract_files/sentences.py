"""How names stand in the sentences of the comparison."""


def said(names: list[str]) -> str:
    """Names as they stand in a sentence."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
