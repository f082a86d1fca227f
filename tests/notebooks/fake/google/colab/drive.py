"""Google Drive, mounted: files arrive late, get lost, or find no room, as ``FAKE_DRIVE_MODE`` says.

What has arrived has a number in its attribute ``user.drive.id``; before that it begins with ``local``.
"""

import os
import threading
import time
from pathlib import Path

DELAY_S = 1.5


def mount(mountpoint: str) -> None:
    if os.environ.get("FAKE_DRIVE_MODE") == "refused":
        raise ValueError("mount failed")
    drive = Path(os.environ["FAKE_DRIVE"])
    Path(mountpoint).mkdir(exist_ok=True)
    if not (Path(mountpoint) / "MyDrive").is_symlink():
        (Path(mountpoint) / "MyDrive").symlink_to(drive)
    threading.Thread(target=_take, args=(drive,), daemon=True).start()


def _take(drive: Path) -> None:
    seen: dict[Path, float] = {}
    lost = os.environ.get("FAKE_DRIVE_MODE") != "loses"
    while True:
        for path in drive.rglob("[!.]*.zip"):
            first = path not in seen
            seen.setdefault(path, time.monotonic())
            try:
                if first:
                    os.setxattr(path, "user.drive.id", b"local-1")
                elif time.monotonic() - seen[path] > DELAY_S:
                    if not lost and "part-" in path.name:
                        lost = True
                        path.unlink()
                    else:
                        os.setxattr(path, "user.drive.id", b"1AbC")
            except OSError:
                continue
        time.sleep(0.1)
