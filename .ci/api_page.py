"""docs/api.md from the docstrings of celebahq.__all__: python .ci/api_page.py [--check]

pdoc reads docstrings, comments under the fields of dataclasses, and signatures; its own pages are HTML (make docs),
so that the Markdown page of the public names is laid out here. With --check nothing is written: exit code 1 where the
page is not what the docstrings say.
"""

import argparse
import inspect
import re
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import pdoc.doc
from pdoc.docstrings import google

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "api.md"
HEAD = """# The Python API

Made from the docstrings by `make docs`; `make check` compares. Everything is loaded at its first use, is silent
(it logs to `logging.getLogger("celebahq")`), returns what it made, and raises `CelebAHQError` for what a user can
mend. [examples/quickstart.py](../examples/quickstart.py) is the whole line by these names.
"""


def page() -> str:
    """Return the page: functions and options in the order of __all__, then the classes that the functions return."""
    sys.path.insert(0, str(ROOT))
    import celebahq

    public = {name: getattr(celebahq, name) for name in celebahq.__all__ if name != "__version__"}
    returned = {cls.__name__: cls for value in public.values() for cls in our_classes(value)}
    parts = [HEAD, "\n".join(f"- [`celebahq.{name}`](#{name.lower()})" for name in public)]
    parts += [entry(name, value) for name, value in public.items()]
    parts += ["# What they return", *(entry(name, cls) for name, cls in returned.items() if cls not in public.values())]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def our_classes(value: object) -> list[type]:
    """Return the classes of this suite that a function returns."""
    if inspect.isclass(value):
        return []
    try:
        hint = get_type_hints(value).get("return")
    except NameError:  # a class that only type checkers import
        return []
    classes = [hint, *get_args(hint)]
    return [cls for cls in classes if inspect.isclass(cls) and cls.__module__.split(".")[0] in OURS]


OURS = {"celebahq", "celebahq_builder", "zoo", "train", "export"}


def entry(name: str, value: object) -> str:
    """Return the section of a function or a class."""
    where = (value.__module__, value.__qualname__)
    if inspect.isclass(value):
        return class_section(name, pdoc.doc.Class(*where, value, where))
    function = pdoc.doc.Function(*where, value, where)
    return f"## {name}\n\n{code(name, function.signature)}\n\n{text(function.docstring)}"


def class_section(name: str, cls: pdoc.doc.Class) -> str:
    """Return a class: what it is, its fields with their defaults, its methods."""
    lines = [f"## {name}", f"`{cls.modulename}.{name}`", text(cls.docstring)]
    for member in cls.own_members:
        if member.name.startswith("_"):
            continue
        said = " ".join(text(member.docstring).split())
        if member.kind == "variable":
            default = f" = {plain(member.default_value_str)}" if member.default_value_str else ""
            item = f"- `{member.name}{default}`{': ' + said if said else ''}"
            lines[-1:] = [f"{lines[-1]}\n{item}"] if lines[-1].startswith("- `") else [lines[-1], item]
        elif member.kind == "function":
            lines.append(f"{code(member.name, member.signature_without_self)}\n\n{text(member.docstring)}")
    return "\n\n".join(line for line in lines if line.strip())


def code(name: str, signature: inspect.Signature) -> str:
    """Return a function's head as a fence; the arguments on lines of their own where one line is too long."""
    shown = plain(f"{name}{' '.join(str(signature).split())}")
    if len(shown) > 118:
        shown = plain(f"{name}{signature}")
    return f"```python\n{shown}\n```"


def plain(shown: str) -> str:
    """Return a signature or value as every version of Python and every system writes it."""
    return re.sub(r"\b(pathlib\._local|pathlib)\.", "", shown).replace("PosixPath(", "Path(").replace("( ", "(")


def text(docstring: str) -> str:
    """Return a docstring of ours as Markdown; pdoc's headings of Args, Returns and Raises in bold."""
    lines = [line.rstrip() for line in google(docstring).splitlines()]
    shown = re.sub(r"^#{6} (.+):$", r"**\1**\n", "\n".join(lines), flags=re.MULTILINE)
    shown = re.sub(r"^ - (\*\*.+?\*\*)  ", r"- \1 ", shown, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", shown).strip()


def main() -> int:
    """Write the page, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where the page is out of date")
    made = page()
    if not parser.parse_args().check:
        PAGE.write_text(made, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != made:
        print("docs/api.md: not what the docstrings say, run make docs", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
