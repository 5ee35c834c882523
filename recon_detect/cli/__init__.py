"""The command line. Everything heavy is imported inside the commands, so that --help answers at once."""

from __future__ import annotations

import logging
import sys

from recon_detect.errors import ReconDetectError

# Exit codes; those of errors are in recon_detect.errors.
FOUND = 1  # what --fail-on asks for
SOME_FAILED = 3
INTERRUPTED = 130

_logger = logging.getLogger("recon_detect")


def main() -> None:
    """Runs the command line; turns errors into messages and exit codes, and the library's warnings into messages."""
    from recon_detect.cli.app import app

    warnings = logging.StreamHandler()
    warnings.setFormatter(logging.Formatter("recon-detect: warning: %(message)s"))
    _logger.addHandler(warnings)
    level = _logger.level
    try:
        app()
    except ReconDetectError as error:
        print(f"recon-detect: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    finally:
        _logger.removeHandler(warnings)
        _logger.setLevel(level)


def hush(quiet: bool) -> None:
    """Silences the library's warnings, if that is asked for."""
    if quiet:
        _logger.setLevel(logging.ERROR)
