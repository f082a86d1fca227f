"""The entry point of `sessionscribe`: Ctrl-C prints no traceback, even while modules are being imported."""

import io
import os
import signal
import sys
from typing import cast


def open_streams() -> None:
    """Open standard streams that are closed, and escape what the terminal's encoding lacks."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:  # a file that is opened later would take its number
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))
    cast(io.TextIOWrapper, sys.stdout).reconfigure(errors="backslashreplace")


def main() -> int:
    """Run the command; return its exit code."""
    open_streams()
    try:
        from sessionscribe.cli import main as command  # noqa: PLC0415

        return command.main()
    except ModuleNotFoundError as error:  # the set-up is older than the checkout
        print(f"sessionscribe: the package {error.name} is not installed: run `make setup`", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
