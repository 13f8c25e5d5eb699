"""Names of files as they can be shown: whatever bytes they hold, the text is printable and on one line."""


def printable(name: object) -> str:
    """Return a name with everything that is not printable spelled out, as in \\xff or \\n."""
    text = str(name).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
