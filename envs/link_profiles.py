"""Link the folders of ``profiles/`` into the user's Snakemake configuration folder.

``snakemake --profile NAME`` looks there (and not in ``profiles/``), so that ``snakemake --profile demo``
works as typed. With several checkouts the links point to the one in which ``make`` ran last; in the others
the Snakefile says so. What is there and is not a link of ours is left alone, but a link into a checkout that
is gone is mended or removed; ``.sessionscribe-profiles.json`` records which links are ours.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

PROFILES = Path(__file__).resolve().parents[1] / "profiles"
RECORD = ".sessionscribe-profiles.json"


def configuration_folder() -> Path:
    """Ask the library that Snakemake asks, in the way it does."""
    from platformdirs import AppDirs  # noqa: PLC0415 - in .venv only; the rest is tested without

    return Path(AppDirs("snakemake", "snakemake").user_config_dir)


def is_profile(folder: Path) -> bool:
    """Tell whether Snakemake would take this folder as a profile."""
    return any(folder.glob("config*.yaml")) or any(folder.glob("profile*.yaml"))


def read_record(folder: Path) -> dict[str, str]:
    """Read which links we made: name to target."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(k): str(v) for k, v in record.items()} if isinstance(record, dict) else {}


def replace_link(link: Path, target: Path) -> None:
    """Point a link of ours to another target, without a moment in which it is not there."""
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    temporary.symlink_to(target)
    temporary.replace(link)


def link_profiles(profiles: Path, folder: Path) -> list[str]:
    """Make the links; return one line for each thing that the user should know."""
    told = []
    wanted = {path.name: path for path in sorted(profiles.iterdir()) if is_profile(path)}
    before = read_record(folder)
    ours = {
        name: target
        for name, target in before.items()
        if (folder / name).is_symlink() and str((folder / name).readlink()) == target
    }
    for name, target in wanted.items():
        link = folder / name
        if name in ours:
            if ours[name] != str(target):
                gone = "" if link.exists() else ", which is gone"
                replace_link(link, target)
                told.append(f"`snakemake --profile {name}` now uses {target} (was {ours[name]}{gone})")
        elif link.is_symlink() or link.exists():
            if not (link.is_symlink() and link.readlink() == target):
                told.append(f"{link} is not ours and stays; ours is `snakemake --profile profiles/{name}`")
            continue
        else:
            folder.mkdir(parents=True, exist_ok=True)
            link.symlink_to(target)
        ours[name] = str(target)
    for name in ours.keys() - wanted.keys():
        lost = not (folder / name).exists()  # with all of its checkout
        if lost:
            told.append(
                f"`snakemake --profile {name}` led to {ours[name]}, which is gone: the link is removed"
            )
        if lost or Path(ours[name]).parent == profiles:
            (folder / name).unlink()
            del ours[name]
    if ours != before:
        temporary = folder / f"{RECORD}.{os.getpid()}"
        temporary.write_text(json.dumps(ours, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        temporary.replace(folder / RECORD)
    return told


def main() -> int:
    """Link; a folder that cannot be written is worth a word, not a failed set-up."""
    try:
        told = link_profiles(PROFILES, configuration_folder()) if PROFILES.is_dir() else []
    except OSError as error:
        told = [f"profiles are not linked ({error}); `snakemake --profile profiles/NAME` works all the same"]
    for line in told:
        print(f"set-up: {line}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
