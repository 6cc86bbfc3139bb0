"""Errors that a user can act on."""


class RdError(Exception):
    """Ends the run; the text says what is wrong and what to do."""


class Unavailable(RdError):
    """One codec cannot run here: its row is left out with this text, the others go on."""
