"""The steps of the notebook, one per cell. Each can be repeated, and does only what is missing."""

from __future__ import annotations

import getpass
import hashlib
import json
import sys
import threading
import zipfile
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from sessionscribe.jobs.checkpoints import CheckpointManager
from sessionscribe.jobs.gpu import GpuMonitor
from sessionscribe.jobs.session_clock import SessionClock
from sessionscribe.notebook.drive_sync import DriveSync
from sessionscribe.notebook.platforms import detect
from sessionscribe.notebook.processes import PROGRESS, LiveLine, Processes

SECRET = "HF_TOKEN"
RECORDINGS = frozenset(
    (
        *(".aac", ".flac", ".m4a", ".m4v", ".mka", ".mkv", ".mov"),
        *(".mp3", ".mp4", ".ogg", ".opus", ".wav", ".webm"),
    )
)
STATUS = "status.json"
STOP_MINUTES = 15.0
"""So long before the end, or in the last quarter of a short time, no more work is started."""
LARGEST_LIST = 64 << 20
NOTHING = (
    "There is nothing to work on in {}. At home: `sessionscribe bundle SESSION`, and put bundles/*.zip "
    "there, or a recording. Then run all."
)


class StopHereError(Exception):
    """Ends the notebook with a line for the user instead of a traceback."""

    def _render_traceback_(self) -> list[str]:  # IPython asks for it
        return [str(self)]


class NotebookSession:
    """A notebook's work.

    Args:
        project: the clone with this package.
        folder: the platform's name of the permanent folder, which has the bundles and gets the results.
        hours: how long the machine may be used.
        save_minutes: minutes between saves.
        python: a Python interpreter with all packages, or "" to make an environment.
        patience_s: seconds after which a save that has not arrived is repeated.
        mailbox: a folder in ``folder`` with jobs to work on, or "" to transcribe the sessions in ``folder``.
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
    ) -> None:
        self.project, self._folder, self._python = project, folder, python
        self._save_minutes, self._patience_s, self._mailbox = save_minutes, patience_s, mailbox
        self.platform = detect()
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
            StopHereError: there is no GPU, and one is required.
        """
        if self.gpu.available:
            print("\n".join(map(str, self.gpu.get_stats())))
        elif required:
            hint = f"{self.platform.gpu_menu}, or untick require_gpu. Then run all."
            raise StopHereError(f"There is no GPU. {hint}")
        else:
            print("There is no GPU: this will take a long time.")

    def install(self) -> None:
        """Install the pinned, hash-checked packages in an environment of their own.

        Raises:
            StopHereError: that failed.
        """
        if not self._python:
            pins = self.project / "envs/requirements.txt"
            command = [sys.executable, str(self.project / "scripts/sessionscribe/runners/environment.py")]
            command += [str(pins), str(pins.with_name("uv.txt")), f"{self.project}-environment"]
            print("Installing: this takes about three minutes", flush=True)
            said = list[str]()
            self._processes.run([*command, *["auto"] * self.gpu.available], said.append)
            try:
                self._python = self._processes.python = json.loads(said[-1])["python"]
            except (IndexError, ValueError, KeyError):
                raise StopHereError("".join(["The environment could not be made:\n", *said[-5:]])) from None
        print(f"Ready: {self._python}")

    def mount(self) -> None:
        """Mount the permanent folder.

        Raises:
            StopHereError: it is not available.
        """
        try:
            self._place = self.platform.mount(self._folder)
        except OSError as error:
            raise StopHereError(f"{error}. Run this cell again, and allow it.") from None
        print(f"Saving to {self._place}")

    def unlock(self, *, ask: bool = False) -> None:
        """Pass the token for gated models to the commands that follow; ask for it if it is not stored."""
        value = self.platform.secret(SECRET) or (getpass.getpass(f"{SECRET}: ") if ask else "")
        if value:
            self._processes.environment[SECRET] = value
        print(f"{SECRET}: {'found' if value else 'none, so no models that need an account'}")

    def restore(self, pattern: str = "*") -> None:
        """Import all bundles and saves in the permanent folder, and add its recordings.

        Args:
            pattern: pattern for the names of sessions, such as ``campaign-*``.

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
        """Work until everything is done or the time is over, and save new results meanwhile.

        Args:
            stage: the last stage, or "" for all.
            model: the speech model, or "" for that in the settings.
            profile: the profile.
        """
        if self._mailbox:
            hours = max(0.01, self.clock.time_remaining() / 3600 - self._stop_minutes / 60)
            place, lanes = str(self._place / self._mailbox), str(2 * max(1, len(self.gpu.get_stats())))
            with self.gpu:
                self._processes.sessionscribe("work", place, "--lanes", lanes, "--hours", str(hours))
            return
        self._saves.mkdir(parents=True, exist_ok=True)
        options, drive = self._options(stage, model, profile), self._sync(self._saves)
        self.clock.register_checkpoint_callback(self._stop, self._stop_minutes)
        with self.gpu, CheckpointManager(drive.sync, min(10.0, self._save_minutes * 30)):
            for names, settings in self._groups():
                if self.clock.time_remaining() <= self._stop_minutes * 60:
                    left = "no time is left for it: take a new machine, or raise `hours`"
                    print(f"{', '.join(names) or 'All sessions'}: {left}")
                else:
                    sessions = [option for name in names for option in ("--session", name)]
                    self._work([*sessions, *settings, *options], drive)
        self._wait(drive)
        self._note_status(drive)

    def _options(self, stage: str, model: str, profile: str) -> list[str]:
        options = ["--profile", profile, "--save-to", str(self._saves)]
        options += ["--save-minutes", str(self._save_minutes)]
        for folder in (self._place, *self.platform.inputs()):
            options += ["--save-since", str(folder)]
        if stage:
            options += ["--stage", stage]
        if model:
            path = self._saves / "model.yaml"
            path.write_text(json.dumps({"transcribe": {"model": model}}), encoding="utf-8")
            options += ["--configfile", str(path)]
        if (gpus := len(self.gpu.get_stats())) > 1:  # one worker for each
            options += ["--warm-workers", str(gpus), "--resources", f"gpu={2 * gpus}"]
        return options

    def finish(self, *, release: bool = False) -> None:
        """Show the status, save the results of each session in a bundle, and release the machine if asked."""
        if not self._mailbox:
            self._show_results()
        self.clock.stop()
        if release:
            self.platform.release()

    def _show_results(self) -> None:
        self._processes.sessionscribe("status")
        results = self.project / ".sessionscribe/results"
        for names, settings in self._groups():
            self._processes.sessionscribe("bundle", *names, "--results", "--to", str(results), *settings)
        self._wait(self._sync(results))
        for path in sorted(results.glob("*.md5")):
            print(f"{path.stem}: MD5 {path.read_text().split()[0]}")
        print("At home: sessionscribe import FOLDER (Drive's, or remote:folder), then sessionscribe run")

    def _groups(self) -> list[tuple[list[str], list[str]]]:
        """Return groups of sessions whose bundles have the same settings, with the options for these."""
        groups: dict[str, tuple[list[str], list[str]]] = {}
        for name in dict.fromkeys(about["session"] for about in self._bundles.values()):
            path = self.project / f"bundles/{name}.settings.yaml"
            text = path.read_text(encoding="utf-8") if path.exists() else ""
            options = ["--configfile", str(path)] if text else []
            groups.setdefault(text, ([], options))[0].append(name)
        return list(groups.values()) or [([], [])]

    def _work(self, options: list[str], drive: DriveSync) -> None:
        """Run, and show the progress."""
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
        """Wait until all files have arrived, as long as there is time."""
        arrived = drive.wait(max(10.0, min(2 * self._patience_s, self.clock.time_remaining() - 60)))
        print(drive.get_progress())
        if not arrived:
            print("Some files may not have arrived yet: leave this open, and run this cell again.")

    def _note_status(self, drive: DriveSync) -> None:
        """Copy the status of the run to the permanent folder, with additions that only the notebook knows."""
        try:
            about = json.loads((self._saves / STATUS).read_bytes())
            about["waiting"], about["gpu"] = drive.get_progress().waiting, str(self.gpu)
            about["seconds_left"] = round(self.clock.time_remaining())
            hidden = self._place / f".{STATUS}.part"
            hidden.write_text(json.dumps(about) + "\n", encoding="utf-8")
            hidden.replace(self._place / STATUS)
        except (OSError, ValueError):  # nothing is saved yet, or Drive is full: the next time will do
            return


def _about(path: Path) -> dict[str, Any] | None:
    """Return the content of a bundle's list, or None if the file is not a bundle. (``import`` checks it.)"""
    try:
        with zipfile.ZipFile(path) as archive:
            first = archive.infolist()[0]
            if first.filename != "bundle.json" or first.file_size > LARGEST_LIST:
                return None
            about = json.loads(archive.read(first))
    except (OSError, zipfile.BadZipFile, IndexError, ValueError, EOFError, NotImplementedError):
        return None
    return about if isinstance(about, dict) and isinstance(about.get("session"), str) else None
