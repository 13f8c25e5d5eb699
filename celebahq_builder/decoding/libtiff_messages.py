"""What libtiff says while Pillow decodes: caught by the thread that decodes, instead of written to the terminal."""

import contextlib
import ctypes
import threading
from collections.abc import Iterator
from functools import cache

_heard = threading.local()
_MAX_MESSAGES = 20
_installing = threading.Lock()
"""Two threads that set handlers at once would keep one pair, and libtiff might call the other, already collected."""


@contextlib.contextmanager
def libtiff_messages() -> Iterator[list[str]]:
    """Yield the list that fills with libtiff's errors (and warnings of its JPEG decoder) in this thread.

    libtiff has one handler a process, so it is set once and for all, and what comes outside of this is dropped: no
    file descriptor is touched, and other threads keep their stderr.
    """
    with _installing:
        _install()
    before = getattr(_heard, "messages", None)
    _heard.messages = []
    try:
        yield _heard.messages
    finally:
        _heard.messages = before


@cache
def _install() -> tuple:
    """Set the handlers of the libtiff that Pillow is linked with; return what must not be collected."""
    from PIL import Image

    try:
        library = ctypes.CDLL(Image.core.__file__)  # a symbol is also looked for in what the library is linked with
        vsnprintf = ctypes.CDLL(None).vsnprintf
        setters = library.TIFFSetErrorHandler, library.TIFFSetWarningHandler
    except (AttributeError, OSError, TypeError):
        return ()  # linked in some other way: its lines go to the terminal
    kind = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
    vsnprintf.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_void_p]

    def note(module: bytes | None, form: bytes | None, arguments: int | None, warning: bool = False) -> None:
        messages = getattr(_heard, "messages", None)
        if messages is None or len(messages) >= _MAX_MESSAGES or (warning and not (module or b"").startswith(b"JPEG")):
            return
        text = ctypes.create_string_buffer(300)
        vsnprintf(text, len(text), form or b"", arguments)
        messages.append(f"{(module or b'libtiff').decode('utf-8', 'replace')}: {text.value.decode('utf-8', 'replace')}")

    def warn(module: bytes | None, form: bytes | None, arguments: int | None) -> None:
        note(module, form, arguments, warning=True)

    handlers = kind(note), kind(warn)
    for setter, handler in zip(setters, handlers, strict=True):
        setter.restype = ctypes.c_void_p
        setter(handler)
    return library, handlers
