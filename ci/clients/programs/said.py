"""What a program says: `=` for what must be the same without daam, `!` for what a masked table must give."""


def say(what, value):
    print("=", what, "->", repr(value).replace("\n", " "), flush=True)


def want(what, value):
    print("!", what, "->", value, flush=True)


def rows(found):
    return "; ".join("|".join("" if value is None else str(value) for value in row) for row in found)


def refused(act, kind):
    """The SQLSTATE of the refusal."""
    try:
        act()
    except kind as error:
        return getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    return "no error"
