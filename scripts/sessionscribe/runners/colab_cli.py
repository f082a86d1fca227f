"""The command ``colab`` of google-colab-cli: finding, installing and calling it, and reading its answers.

It reports success when it has failed, ignores its time limits, and logs bearer tokens. So it runs in a home
folder of its own, where its log is discarded and the user's login is linked; calls are made one at a time,
with a time limit after which all their processes are killed; and their effect is checked in the list of
sessions.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from platformdirs import user_cache_path

from sessionscribe.core import locks
from sessionscribe.core.errors import cause
from sessionscribe.core.files import atomic_path, sha256
from sessionscribe.runners import environment
from sessionscribe.runners.errors import DisconnectedError, UnusableError

OLDEST = (3, 12)
CANDIDATES = ("python3", "python3.13", "python3.12", "python3.14")
MANAGED = (".pyenv/versions/*/bin/python", ".local/share/uv/python/*/bin/python")
"""Interpreters of pyenv and uv, below the home folder, which need not be on PATH."""
REQUIREMENTS, UV_REQUIREMENTS = "colab.txt", "uv.txt"
FOREIGN = ("PYTHONPATH", "PYTHONHOME")
CALL_S, HELP_S = 90.0, 30.0
CONFIGURATION = ".config/colab-cli"
LOGIN = ".config/gcloud/application_default_credentials.json"
NO_LOGIN = (
    "To authorize colab-cli",
    "No valid default credentials",
    "DefaultCredentialsError",
    "RefreshError",
    "invalid_grant",
    "Unauthorized",
)
"""Parts of messages that appear if nobody is logged in, or the login has expired."""
LOG_IN = "Log in by `{program} sessions`, which shows a link; then run again"
NOISE = re.compile(r"^\[colab\] |\w+: Failed to issue request \w+ \S+: ")
LISTED = re.compile(r"^\[[^\]]+\] (\S+) \| Hardware: \S", re.MULTILINE)
NONE_LISTED = "No active sessions found on server"


def find_program(pins: Path, say: Callable[[str], None] = print) -> Path:
    """Return the command on PATH if it is new enough, or else one that is installed for this user.

    Args:
        pins: the folder with the pinned requirements.
        say: shows the user a line.

    Raises:
        UnusableError: the command cannot be installed.
    """
    if found := shutil.which("colab"):
        if _has_ssh(Path(found).resolve()):
            return Path(found)
        hint = "`uv tool upgrade google-colab-cli` updates yours"
        say(f"colab: {found} has no `ssh`: our own is used ({hint})")
    return install(pins, user_cache_path("sessionscribe") / "colab-cli", say)


@cache
def _has_ssh(program: Path) -> bool:
    """Return whether a program is a google-colab-cli that is new enough."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired), TemporaryDirectory() as home:
        done = subprocess.run(
            [program, "ssh", "--help"],
            env={**os.environ, "HOME": home, "COLUMNS": "500"},  # in HOME it writes a log
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=HELP_S,
            check=False,
        )
        return b"--proxy-mode" in done.stdout
    return False


def install(pins: Path, tools: Path, say: Callable[[str], None] = print) -> Path:
    """Install the command in an environment below ``tools``, unless it is there, and return its path.

    Raises:
        UnusableError: the installation fails.
    """
    requirements = pins / REQUIREMENTS
    if not requirements.is_file():
        hint = "Install google-colab-cli: `uv tool install google-colab-cli`"
        raise UnusableError("the command is not on PATH", where="colab", hint=hint)
    folder = tools / sha256(requirements)[:16]
    managed = sorted((str(path) for place in MANAGED for path in Path.home().glob(place)), reverse=True)
    candidates = (*CANDIDATES, *managed)
    if not (folder / environment.READY).exists():
        say(f"colab: installing the command in {folder}, once")
    with contextlib.redirect_stdout(io.StringIO()):  # a line for programs
        arguments = (requirements, pins / UV_REQUIREMENTS, folder)
        code = environment.main(*arguments, oldest=OLDEST, candidates=candidates)
    if code:
        version = ".".join(map(str, OLDEST))
        what = f"the command cannot be installed (it needs Python {version} or newer; the reason is above)"
        hint = "Install it yourself: `uv tool install --upgrade google-colab-cli`"
        raise UnusableError(what, where="colab", hint=hint)
    return folder / "bin/colab"


class Cli:
    """The command in a home folder of its own.

    Args:
        program: the command.
        home: the folder, which is created, readable for this user only: tokens of sessions are in it.

    Raises:
        UnusableError: the user is not logged in.
    """

    def __init__(self, program: Path, home: Path) -> None:
        self.program, self.home = program, home
        self._store = home / CONFIGURATION / "sessions.json"
        for folder in (home, self._store.parent.parent, self._store.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock: IO[str] | None = None
        self._provider = self._link_login()
        _link(self._store.with_name("colab.log"), Path(os.devnull))
        # It would look for newer versions of itself, and mention them in its answers.
        self._store.with_name("settings.json").write_text('{"enable_update_check": false}')

    def lock(self, wait_s: float) -> bool:
        """Become the only process that uses the folder; return whether that is possible within a time."""
        self._lock = self._lock or (self.home / "use.lock").open("w")
        return locks.wait_for(self._lock, wait_s)

    def unlock(self) -> None:
        """Let other processes use the folder."""
        if self._lock:
            self._lock.close()
            self._lock = None

    def _link_login(self) -> str:
        """Link the user's login into the folder; return the command's name for this kind of login."""
        theirs = Path.home() / CONFIGURATION / "token.json"
        if theirs.exists():
            _link(self._store.with_name("token.json"), theirs)
            return "oauth2"
        if "GOOGLE_APPLICATION_CREDENTIALS" in os.environ or (Path.home() / LOGIN).exists():
            return "adc"
        raise self._no_login("nobody is logged in to Colab here")

    def _no_login(self, what: str) -> UnusableError:
        return UnusableError(what, where="colab", hint=LOG_IN.format(program=self.program))

    def environment(self) -> dict[str, str]:
        """Return the variables that it gets besides this process's."""
        theirs = os.environ.get("CLOUDSDK_CONFIG", str(Path.home() / ".config/gcloud"))
        return {"HOME": str(self.home), "CLOUDSDK_CONFIG": theirs, "COLUMNS": "500", "NO_COLOR": "1"}

    def argv(self, *arguments: str) -> list[str]:
        """Return the command line of a call."""
        own = Path.home() / ".colab-cli-oauth-config.json"
        config = ["--client-oauth-config", str(own)] if own.exists() else []
        return [str(self.program), "--auth", self._provider, *config, *arguments]

    def shell_line(self, *arguments: str) -> str:
        """Return a call, with its environment, as a shell command."""
        variables = [f"{name}={value}" for name, value in self.environment().items()]
        without = [word for name in FOREIGN for word in ("-u", name)]
        line = f"umask 077; exec {shlex.join(['env', *without, *variables, *self.argv(*arguments)])}"
        return f"sh -c {shlex.quote(line)}"

    def call(self, *arguments: str, given: str = "", limit_s: float = CALL_S) -> str:
        """Call the command and return its output, which does not show whether it succeeded.

        Raises:
            UnusableError: nobody is logged in (any more).
            DisconnectedError: this call or an earlier one did not end in time.
        """
        with self._one_at_a_time(limit_s) as lock:
            process = subprocess.Popen(
                self.argv(*arguments),
                env={k: v for k, v in os.environ.items() if k not in FOREIGN} | self.environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                umask=0o077,
                pass_fds=(lock,),  # the next call waits for this one even if this process is killed
                start_new_session=True,
            )
            try:
                out, _ = process.communicate(given.encode(), limit_s)
            except BaseException as error:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                if isinstance(error, subprocess.TimeoutExpired):
                    raise DisconnectedError(
                        f"no end of `colab {arguments[0]}` within {limit_s:g} s"
                    ) from None
                raise
        said = out.decode(errors="replace")
        if any(sign in said for sign in NO_LOGIN):
            raise self._no_login("the login to Colab is not valid (any more)")
        return said

    @contextlib.contextmanager
    def _one_at_a_time(self, limit_s: float) -> Iterator[int]:
        """Wait for earlier calls, which may be those of a process that was killed.

        Raises:
            DisconnectedError: one does not end in time.
        """
        with (self.home / "calls.lock").open("w") as lock:
            if not locks.wait_for(lock, limit_s):
                raise DisconnectedError(f"no end of an earlier call of `colab` within {limit_s:g} s")
            yield lock.fileno()

    def wait(self, limit_s: float) -> None:
        """Wait for earlier calls, whose effect may not be recorded yet; see ``_one_at_a_time``."""
        with self._one_at_a_time(limit_s):
            pass

    def sessions(self) -> list[str]:
        """Ask Colab for the endpoints of this account's sessions.

        Raises:
            UnusableError, DisconnectedError: there is no answer.
        """
        said = self.call("sessions")
        found = LISTED.findall(said)
        if not found and NONE_LISTED not in said:
            raise DisconnectedError(f"`colab sessions` gave no list ({reason_in(said)})")
        return found

    def known(self) -> dict[str, dict[str, Any]]:
        """Return the command's own records of sessions, by name."""
        with contextlib.suppress(OSError, ValueError):
            noted = json.loads(self._store.read_text(encoding="utf-8"))
            if isinstance(noted, dict):
                return noted
        return {}

    def remember(self, session: Mapping[str, Any]) -> None:
        """Restore the command's record of a session, which it deletes when it believes the session gone.

        Raises:
            DisconnectedError: an earlier call did not end in time.
        """
        with self._one_at_a_time(CALL_S), atomic_path(self._store) as temporary:
            noted = {**self.known(), session["name"]: {"token": "", "url": "", **session}}
            temporary.touch(mode=0o600)
            temporary.write_text(json.dumps(noted), encoding="utf-8")


def reason_in(said: str) -> str:
    """Return why a call failed, from its output."""
    return NOISE.sub("", cause(said))


def _link(link: Path, target: Path) -> None:
    """Make a symbolic link, replacing whatever is there."""
    temporary = link.with_name(f"{link.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    temporary.symlink_to(target)
    temporary.replace(link)
