"""The steps of the notebook, one for each cell. Each can be called again; what is done is not done again."""

from __future__ import annotations

import getpass
import hashlib
import json
import sys
import threading
import zipfile
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from sessionscribe.jobs.checkpoints import CheckpointManager
from sessionscribe.jobs.gpu import GpuMonitor
from sessionscribe.jobs.session_clock import SessionClock
from sessionscribe.notebook.drive_sync import DriveSync
from sessionscribe.notebook.live_line import PROGRESS, LiveLine
from sessionscribe.notebook.platforms import Platform, detect
from sessionscribe.notebook.processes import Processes

SECRETS = ("HF_TOKEN",)
RECORDINGS = frozenset(
    (
        *(".aac", ".flac", ".m4a", ".m4v", ".mka", ".mkv", ".mov"),
        *(".mp3", ".mp4", ".ogg", ".opus", ".wav", ".webm"),
    )
)
STATUS = "status.json"
STOP_MINUTES = 15.0
"""So long before the end no more work is handed out; with little time in all, in its last quarter."""
MOST_LISTED = 64 << 20
NOTHING = (
    "There is nothing to work on in {}. At home: `sessionscribe bundle SESSION`, and put bundles/*.zip "
    "there, or a recording. Then run all."
)


class StopHereError(Exception):
    """Ends the notebook with one line that says what to do, instead of a traceback."""

    def _render_traceback_(self) -> list[str]:  # IPython asks for it
        return [str(self)]


class NotebookSession:
    """A notebook's work, from the folder that stays to the results in it.

    Args:
        project: the clone that this package is in.
        folder: the folder that stays, as the platform names it.
        hours: how long the machine is ours.
        save_minutes: how often results are saved.
        python: an interpreter that has everything installed; "": an environment is made.
        patience_s: how long a save may take to arrive before it is sent again, in seconds.
        mailbox: a folder below ``folder``; not "": only work on what others put there.
        platform: where this runs; None: found out.
    """

    def __init__(
        self,
        project: Path,
        folder: str,
        *,
        hours: float = 12,
        save_minutes: float = 10,
        python: str = "",
        patience_s: float = 600,
        mailbox: str = "",
        platform: Platform | None = None,
    ) -> None:
        self.project, self._folder, self._python = project, folder, python
        self._save_minutes, self._patience_s, self._mailbox = save_minutes, patience_s, mailbox
        self.platform = platform or detect()
        self.clock = SessionClock(hours, self.platform.used_s())
        self.gpu = GpuMonitor(log=project / "logs/gpu.tsv")
        self._stop_minutes = min(STOP_MINUTES, self.clock.time_remaining() / 240)
        self._processes = Processes(project, python or sys.executable)
        self._place = Path()
        self._bundles: dict[Path, dict[str, Any]] = {}
        self._saves = project / ".sessionscribe/notebook"
        print(f"{self.platform.name}: {self.clock.time_remaining() / 3600:.1f} hours left")

    def check_gpu(self, *, required: bool = True) -> None:
        """Show the GPU.

        Raises:
            StopHereError: there is none, and one is required.
        """
        if self.gpu.available:
            print("\n".join(map(str, self.gpu.get_stats())))
        elif required:
            hint = f"{self.platform.gpu_menu}, or untick require_gpu. Then run all."
            raise StopHereError(f"There is no GPU. {hint}")
        else:
            print("There is no GPU: this will take a long time.")

    def install(self) -> None:
        """Make the environment from the pinned, hash-checked requirements; the kernel's stays as it is.

        Raises:
            StopHereError: it could not be made.
        """
        if not self._python:
            pins = self.project / "envs/requirements.txt"
            command = [sys.executable, str(self.project / "scripts/sessionscribe/runners/environment.py")]
            command += [str(pins), str(pins.with_name("uv.txt")), f"{self.project}-environment"]
            said = self._processes.quiet([*command, *["auto"] * self.gpu.available], "Installing")
            try:
                self._python = self._processes.python = json.loads(said[-1])["python"]
            except (IndexError, ValueError, KeyError):
                raise StopHereError("\n".join(["The environment could not be made:", *said[-5:]])) from None
        print(f"Ready: {self._python}")

    def mount(self) -> None:
        """Have the folder that stays.

        Raises:
            StopHereError: it is not to be had.
        """
        try:
            self._place = self.platform.mount(self._folder)
        except OSError as error:
            raise StopHereError(f"{error}. Run this cell again, and allow it.") from None
        print(f"Saving to {self._place}")

    def unlock(self, names: Iterable[str] = SECRETS, *, ask: bool = False) -> None:
        """Hand secrets to the commands that follow, by their environment only.

        Args:
            names: what they are called.
            ask: whether to ask for one that is not stored here; it is not shown as it is typed.
        """
        for name in names:
            value = self.platform.secret(name) or (getpass.getpass(f"{name}: ") if ask else "")
            if value:
                self._processes.environment[name] = value
            print(f"{name}: {'found' if value else 'none, so no models that need an account'}")

    def restore(self, pattern: str = "*") -> None:
        """Import all bundles and saves of the folder, and add recordings: that is how work goes on.

        Args:
            pattern: of the sessions' names.

        Raises:
            StopHereError: there is nothing to work on.
        """
        if self._mailbox:
            return
        folders = [self._place, *self.platform.inputs()]
        files = [path for folder in folders for path in sorted(folder.rglob("[!.]*"))]
        found = {path: about for path in files if path.suffix == ".zip" and (about := _about(path))}
        self._bundles = {path: about for path, about in found.items() if fnmatch(about["session"], pattern)}
        if self._bundles:
            self._processes.sessionscribe("import", *map(str, self._bundles))
        if recordings := [str(path) for path in files if path.suffix.lower() in RECORDINGS]:
            self._processes.sessionscribe("add", *recordings)
        if not self._bundles and not recordings:
            raise StopHereError(NOTHING.format(self._place))
        pins = hashlib.sha256((self.project / "envs/requirements.txt").read_bytes()).hexdigest()
        if any(about.get("requirements") != pins for about in self._bundles.values()):
            print("The pinned packages are not those of home: results stay valid, and say what made them.")

    def run(self, *, stage: str = "", model: str = "", profile: str = "notebook") -> None:
        """Work until all is done or the time is over, and save what is new all the while.

        Args:
            stage: stop after this stage; "": none.
            model: a speech model in place of the one that the settings name.
            profile: the profile to run with.
        """
        if self._mailbox:
            hours = max(0.01, self.clock.time_remaining() / 3600 - self._stop_minutes / 60)
            place, lanes = str(self._place / self._mailbox), str(2 * max(1, len(self.gpu.get_stats())))
            with self.gpu:
                self._processes.sessionscribe("work", place, "--lanes", lanes, "--hours", str(hours))
            return
        self._saves.mkdir(parents=True, exist_ok=True)
        drive = self._sync(self._saves)
        self.clock.register_checkpoint_callback(self._stop, self._stop_minutes)
        with self.gpu, CheckpointManager(drive.sync, min(10.0, self._save_minutes * 30)):
            for names, settings in self._groups():
                if self.clock.time_remaining() <= self._stop_minutes * 60:
                    left = "no time is left for it: take a new machine, or raise `hours`"
                    print(f"{', '.join(names) or 'All sessions'}: {left}")
                else:
                    options = [option for name in names for option in ("--session", name)]
                    options += [*self._saving(), "--profile", profile, *(["--stage", stage] if stage else [])]
                    options += [option for path in settings for option in ("--configfile", str(path))]
                    self._work([*options, *self._model(model), *self._gpus()], drive)
        self._wait(drive)
        self._note_status(drive)

    def finish(self, *, release: bool = False) -> None:
        """Show the verdict, save the results in one bundle for each session, and release the machine.

        Args:
            release: give the machine back.
        """
        if not self._mailbox:
            self._show_results()
        self.clock.stop()
        if release:
            self.platform.release()

    def _show_results(self) -> None:
        self._processes.sessionscribe("status")
        results = self.project / ".sessionscribe/results"
        for names, settings in self._groups():
            options = [option for path in settings for option in ("--configfile", str(path))]
            self._processes.sessionscribe("bundle", *names, "--results", "--to", str(results), *options)
        self._wait(self._sync(results))
        for path in sorted(results.glob("*.md5")):
            print(f"{path.stem}: MD5 {path.read_text().split()[0]}")
        print("At home: sessionscribe import FOLDER (Drive's, or remote:folder), then sessionscribe run")

    def _groups(self) -> list[tuple[list[str], list[Path]]]:
        """Return the sessions of bundles that have the same settings, with the file that has these."""
        groups: dict[str, tuple[list[str], list[Path]]] = {}
        for name in dict.fromkeys(about["session"] for about in self._bundles.values()):
            path = self.project / f"bundles/{name}.settings.yaml"
            text = path.read_text(encoding="utf-8") if path.exists() else ""
            groups.setdefault(text, ([], [path] if text else []))[0].append(name)
        return list(groups.values()) or [([], [])]

    def _saving(self) -> list[str]:
        known = [str(self._place), *map(str, self.platform.inputs())]
        given = [option for folder in known for option in ("--save-since", folder)]
        return ["--save-to", str(self._saves), "--save-minutes", str(self._save_minutes), *given]

    def _model(self, model: str) -> list[str]:
        if not model:
            return []
        path = self._saves / "model.yaml"
        path.write_text(json.dumps({"transcribe": {"model": model}}), encoding="utf-8")
        return ["--configfile", str(path)]

    def _gpus(self) -> list[str]:
        """Return what gives each of several GPUs a worker."""
        count = len(self.gpu.get_stats())
        return ["--warm-workers", str(count), "--resources", f"gpu={2 * count}"] if count > 1 else []

    def _work(self, options: list[str], drive: DriveSync) -> None:
        """Run, with lines that say how far it is."""
        line, ended, latest = LiveLine(), threading.Event(), ["starting"]

        def take(text: str) -> None:
            if PROGRESS.match(text):
                latest[0] = text.strip()
            else:
                print(text, end="", flush=True)

        def show() -> None:
            while not ended.wait(2):
                left = f"{self.clock.time_remaining() / 60:.0f} minutes of this machine left"
                line.show(f"{latest[0]}; {left}; {drive.get_progress()}", str(self.gpu))
                self._note_status(drive)

        shower = threading.Thread(target=show, daemon=True)
        shower.start()
        self._processes.sessionscribe("run", *options, on_line=take)
        ended.set()
        shower.join()
        line.show(latest[0], str(self.gpu), *self.gpu.get_warnings())

    def _stop(self) -> None:
        if self._processes.interrupt():
            print("The time of this machine is nearly over: stopping, and saving.", flush=True)

    def _sync(self, folder: Path) -> DriveSync:
        return DriveSync(folder, self._place, self.platform.has_arrived, self._patience_s)

    def _wait(self, drive: DriveSync) -> None:
        """Wait for what was written to arrive, as long as there is time for that."""
        arrived = drive.wait(max(10.0, min(2 * self._patience_s, self.clock.time_remaining() - 60)))
        print(drive.get_progress())
        if not arrived:
            print("Some files may not have arrived yet: leave this open, and run this cell again.")

    def _note_status(self, drive: DriveSync) -> None:
        """Bring the status of the run to the folder, with what only the notebook knows."""
        try:
            about = json.loads((self._saves / STATUS).read_bytes())
            about["waiting"], about["gpu"] = drive.get_progress().waiting, str(self.gpu)
            about["seconds_left"] = round(self.clock.time_remaining())
            hidden = self._place / f".{STATUS}.part"
            hidden.write_text(json.dumps(about) + "\n", encoding="utf-8")
            hidden.replace(self._place / STATUS)
        except (OSError, ValueError):  # nothing is saved yet, or Drive is full: the next one has it
            return


def _about(path: Path) -> dict[str, Any] | None:
    """Return what a bundle says of itself; None if it is none. (``import`` looks closely.)"""
    try:
        with zipfile.ZipFile(path) as archive:
            first = archive.infolist()[0]
            if first.filename != "bundle.json" or first.file_size > MOST_LISTED:
                return None
            about = json.loads(archive.read(first))
    except (OSError, zipfile.BadZipFile, IndexError, ValueError, EOFError, NotImplementedError):
        return None
    return about if isinstance(about, dict) and isinstance(about.get("session"), str) else None
