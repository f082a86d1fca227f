"""A version taken from the remote into this clone, if nothing is lost by it."""

from __future__ import annotations

from pathlib import Path

from sessionscribe.artifacts.published import Published
from sessionscribe.core import files
from sessionscribe.publish import history, state, unpack
from sessionscribe.publish.dvc_store import Store
from sessionscribe.publish.package_manifest import CONTENTS, target_of


def take(root: Path, store: Store, session: str, *, text: str = "", force: bool = False) -> int:
    """Get a version and put it in place; return how many files of the session that wrote.

    Args:
        root: the project's folder.
        store: DVC.
        session: its name.
        text: the `.dvc` file of the version; "": the one that lies here.
        force: overwrite results that were never published.

    Raises:
        UserError: it cannot be had, or results would be lost; nothing here is changed then.
    """
    version = history.version_in(text, target_of(session)) if text else history.version_of(root, session)
    store.fetch(version)
    if not force:
        published = unpack.checked(Published.read(store.file(version, CONTENTS)), session)
        known = state.load(root, session)
        unpack.refuse_loss(root, published, known.files if known else {})
    if text:
        files.write_text(root / target_of(session), text)
    store.checkout(session)
    return unpack.unpack(root, session, version=version, force=force)


def is_taken(root: Path, session: str) -> bool:
    """Return whether the version that git names is the one that lies here."""
    known = state.load(root, session)
    return (
        known is not None
        and state.is_known(root, session)
        and known.version == history.version_of(root, session)
    )


def published_sessions(root: Path) -> list[str]:
    """Return the sessions that the working tree has `.dvc` files of."""
    return sorted(path.stem for path in (root / "results/publish").glob("*.dvc"))
