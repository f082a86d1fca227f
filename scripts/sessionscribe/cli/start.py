"""The entry point of `sessionscribe`: Ctrl-C prints no traceback, even while modules are being imported."""

import signal
import sys


def main() -> int:
    """Run the command; return its exit code."""
    try:
        from sessionscribe.cli import main as command  # noqa: PLC0415

        return command.main()
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
