"""The command line. Everything heavy is imported inside the commands, so that --help answers at once."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from recon_detect.errors import ReconDetectError
from recon_detect.names import shown_lines

# Exit codes; those of errors are in recon_detect.errors.
FOUND = 1  # what --fail-on asks for
SOME_FAILED = 3
INTERNAL = 70
NO_SPACE = 74  # an output that cannot be written, most often
CLOSED_PIPE = 128 + 13  # as if SIGPIPE had ended it

DEBUG_VARIABLE = "RECON_DETECT_DEBUG"

_logger = logging.getLogger("recon_detect")


class Ended(Exception):
    """The end of a command from outside, by a signal or a closed pipe, with the exit code that shells have for it."""

    def __init__(self, code: int, message: str = "") -> None:
        super().__init__(message)
        self.code = code


class _Signalled(KeyboardInterrupt):
    """An interrupt by another signal than that of the keyboard."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class _Shown(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return shown_lines(super().format(record))


class _Once(logging.Filter):
    """Shows each message once: folders are looked up again for each pass over the images."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        is_new = message not in self._shown
        self._shown.add(message)
        return is_new


def main() -> None:
    """Runs the command line; turns errors and signals into messages and exit codes, and warnings into messages."""
    from recon_detect.cli.app import app

    warnings = logging.StreamHandler()
    warnings.setFormatter(_Shown("recon-detect: warning: %(message)s"))
    warnings.addFilter(_Once())
    _logger.addHandler(warnings)
    level, streams = _logger.level, (sys.stdout, sys.stderr)
    if os.environ.get(DEBUG_VARIABLE):
        debug()
    _accept_any_name(sys.stdout)
    code: int | str | None = 0
    try:
        with _signals():
            app(prog_name="recon-detect")  # not that of python -m, which completion would not recognise
    except SystemExit as ended:
        code = ended.code
    except Exception as error:
        code = _explain(error)
    finally:
        sys.stdout, sys.stderr = streams  # typer changes them where a pipe was closed
        _logger.removeHandler(warnings)
        _logger.setLevel(level)
    sys.exit(_flushed(code))


def debug() -> None:
    """Shows tracebacks, of images that fail too."""
    _logger.setLevel(logging.DEBUG)


def hush(quiet: bool) -> None:
    """Silences the library's warnings, if that is asked for."""
    if quiet and not _logger.isEnabledFor(logging.DEBUG):
        _logger.setLevel(logging.ERROR)


@contextmanager
def advising(advice: str) -> Iterator[None]:
    """Has the message on an interrupt, or on an output that cannot be written any more, say what to do next."""
    try:
        yield
    except (KeyboardInterrupt, OSError) as error:
        error.add_note(advice)
        raise


@contextmanager
def naming(image: str) -> Iterator[None]:
    """Has the message on an internal error name the image."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, OSError | ReconDetectError):
            error.add_note(image)
        raise


@contextmanager
def ending() -> Iterator[None]:
    """Turns interrupts and closed pipes into `Ended`, before typer gives them codes of its own."""
    try:
        yield
    except (BrokenPipeError, SystemExit) as error:
        if isinstance(error, SystemExit) and not isinstance(error.__context__, BrokenPipeError):
            raise
        raise Ended(CLOSED_PIPE) from error  # rich makes it an exit with 1
    except KeyboardInterrupt as error:
        number = error.number if isinstance(error, _Signalled) else signal.SIGINT
        message = "; ".join(("interrupted", *getattr(error, "__notes__", ())))
        raise Ended(128 + number, message) from error


@contextmanager
def _signals() -> Iterator[None]:
    """Has SIGTERM and SIGHUP end a command as an interrupt does, but where they are ignored, as under nohup."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise _Signalled(number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) == signal.SIG_DFL:
                before[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _explain(error: Exception) -> int:
    """Prints an error in a line, and gives its exit code."""
    notes = "; ".join(getattr(error, "__notes__", ()))
    code, message = INTERNAL, ""
    if isinstance(error, Ended):
        code, message = error.code, str(error)
    elif isinstance(error, ReconDetectError):
        code, message = error.exit_code, str(error)
    elif isinstance(error, OSError):
        reason = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
        code, message = NO_SPACE, "; ".join(filter(None, (reason, notes)))
    else:
        what = " ".join(sys.argv[1:2])
        message = (
            f"internal error in {what}{f' at {notes}' if notes else ''}: {type(error).__name__}: {error}; this is a "
            f"fault of recon-detect: please report it, with what --debug shows ('recon-detect --debug {what} ...')"
        )
    with suppress(OSError):  # of a closed pipe
        if _logger.isEnabledFor(logging.DEBUG) and not isinstance(error, Ended):
            sys.stderr.write(shown_lines("".join(traceback.format_exception(error))))
        if message:
            print(shown_lines(f"recon-detect: {message}"), file=sys.stderr)
    return code


def _accept_any_name(stream: object) -> None:
    """Has no name of a file fail on the way out: pipes get UTF-8, as JSON is, and terminals escapes."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace", encoding=None if stream.isatty() else "utf-8")


def _flushed(code: int | str | None) -> int | str | None:
    """The exit code after what is still in buffers has been written, or cannot be."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            code = CLOSED_PIPE
        except OSError as error:
            code = _explain(error)
        except ValueError:  # closed
            continue
        else:
            continue
        # Python flushes once more at its end, and would report that this fails.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return code
