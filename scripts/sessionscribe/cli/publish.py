"""``publish``, ``pull`` and ``versions``. Heavy modules are imported only when they run."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from sessionscribe.cli.options import SESSION, SESSIONS, SETTINGS, argument, command, configfiles, flag
from sessionscribe.config.settings import Config
from sessionscribe.core import locks
from sessionscribe.core.errors import UserError, one_by_one, visible
from sessionscribe.core.text import counted
from sessionscribe.planning import status
from sessionscribe.planning.other_settings import OTHER
from sessionscribe.planning.plan import Plan
from sessionscribe.planning.session import SessionPlan
from sessionscribe.publish import history, publishing, state, unpack, versions
from sessionscribe.publish.dvc_store import Store
from sessionscribe.publish.state import FOLDER, target_of

ROOT = Path()


FORCE = flag("--force", "overwrite results never published")


@command("publish", SETTINGS, SESSIONS, flag("--force", "overwrite versions not pulled here"))
def publish(options: argparse.Namespace, config: Config) -> int:
    """Publish finished sessions as versions that others can pull."""
    return publish_sessions(
        list(Plan(config, ROOT).sessions.values()),
        config,
        configfiles=configfiles(options),
        force=options.force,
        required=bool(options.sessions),
    )


def publish_sessions(
    sessions: Sequence[SessionPlan],
    config: Config,
    *,
    configfiles: Sequence[Path],
    force: bool = False,
    required: bool = False,
) -> int:
    """Publish the sessions that are finished, and list the others, which are failures if ``required``.

    Uncommitted changes of ``configfiles`` are pointed out. With ``force``, versions of others that were not
    pulled here are replaced.
    """
    ready = [session for session in sessions if publishing.is_finished(session)]
    for session in sessions:
        if session not in ready:
            print(status.left_out(session))
    counts: Counter[str] = Counter()
    code = int(required and len(ready) < len(sessions))
    with _store(config) as (store, lock):
        publisher = publishing.Publisher(
            ROOT, config.manifest, audio=config.publish.audio, force=force, store=store, lock=lock
        )

        def send(session: SessionPlan) -> None:
            done = publisher.publish(session)
            counts[done.word] += 1
            if done.word == "published":
                version = done.version[:12]
                print(f"published {session.session.name}: {version}, {done.sent} files sent", flush=True)

        remote = bool(store.remote)
        code = max(code, one_by_one({session.session.name: session for session in ready}, send))
        if counts["published"] and not remote:
            print("No DVC remote is set up, so nothing was sent: docs/versioning.md says how.")
    print(f"{counts['published']} published, {counts['unchanged']} unchanged.")
    if counts["published"] and remote:  # others would get pointers to nothing
        print("Run `git push` to share them.")
    corrections = [f"config/corrections/{session.session.name}.tsv" for session in ready]
    behind = [*map(str, configfiles), config.name.table, config.name.voices, *corrections]
    for path in sorted(history.dirty(ROOT, *behind)):
        print(f"{path} has uncommitted changes; without them, other people's runs would redo the work.")
    return code


@command("pull", SETTINGS, SESSIONS, FORCE)
def pull(options: argparse.Namespace, config: Config) -> int:
    """Fetch published sessions."""
    there = sorted(path.stem for path in (ROOT / FOLDER).glob("*.dvc"))
    if absent := [name for name in options.sessions if name not in there]:
        hint = f"Run `git pull` first? Published are: {', '.join(there) or 'none'}"
        raise UserError("was never published", where=absent[0], hint=hint)
    wanted = options.sessions or [name for name in there if not unpack.is_taken(ROOT, name)]
    with _store(config) as (store, _):

        def take(session: str) -> None:
            written = unpack.take(ROOT, store, session, force=options.force)
            print(f"pulled {session}: {counted(written, 'file')} written", flush=True)

        code = one_by_one({name: name for name in wanted}, take)
    if not wanted:
        print("Nothing to pull: all published sessions are here.")
    return code


@command(
    "versions",
    SETTINGS,
    SESSION,
    argument("--at", "REV", "restore the version at this git revision"),
    FORCE,
)
def list_versions(options: argparse.Namespace, config: Config) -> int:
    """List a session's published versions, or restore one."""
    session = options.session
    with _store(config) as (store, _):
        if options.at:
            text = history.at(ROOT, session, options.at)
            written = unpack.take(ROOT, store, session, text=text, force=options.force)
            print(f"restored {session} as in {options.at}: {counted(written, 'file')} written")
            print("\n".join(_after_restore(session, config)))
            print(f"To undo this: git restore {target_of(session)} && sessionscribe pull {session}")
            return 0
        known = state.load(ROOT, session)
        for version in versions.collect(ROOT, store, session):
            here = bool(known and known.version == version.revision.version)
            print("\n".join(map(visible, _lines(version, here=here))), flush=True)
    return 0


def _after_restore(session: str, config: Config) -> Iterator[str]:
    """Yield lines on how to keep a restored version, which a run with other settings would replace."""
    try:
        plan = Plan(config.model_copy(update={"sessions": (session,)}), ROOT)
    except UserError as error:  # it is published, and in no row of the manifest
        yield str(error)
        return
    if undone := len(plan.sessions[session].pending):
        yield f"With the present settings, a run would redo {counted(undone, 'step')} of it. To keep it, or"
        yield f"to `sessionscribe publish {session}`, restore the settings that it was made with."
        yield from (remark for remark in plan.warnings if OTHER in remark)
    else:
        yield f"`sessionscribe publish {session}` makes it the newest version."


def _lines(version: versions.Version, *, here: bool) -> Iterator[str]:
    revision, found = version.revision, version.published
    head = f"{revision.commit[:10]}  {revision.date[:16].replace('T', ' ')}  {revision.author}"
    yield f"{head}  (here)" if here else head
    if found is None:
        yield f"    {version.problem}"
        return
    engines = sorted({f"{e.model}, {e.compute_type}" for e in found.engines if e.device}) or ["no speech"]
    yield f"    {found.words} words, {found.speakers} speakers, {found.language}; {'; '.join(engines)}"
    if version.words:
        yield f"    {version.words}"
    yield from (f"    {line}" for line in version.changes)


@contextmanager
def _store(config: Config) -> Iterator[tuple[Store, int]]:
    """Yield the DVC store and the lock, which is held."""
    if not (ROOT / ".git").exists() and not history.git(ROOT, "rev-parse", "--git-dir", check=False):
        hint = "Make it one (`git init`), or publish from a clone"
        raise UserError("is not a git repository, which versions need", where=ROOT.resolve(), hint=hint)

    def busy() -> None:
        print(f"Waiting for another `sessionscribe publish` or `pull` ({FOLDER}) …", flush=True)

    with locks.locked(ROOT / state.LOCK, busy=busy) as lock:
        assert lock is not None  # it was waited for
        with closing(Store(ROOT, config.publish.remote)) as store:
            yield store, lock
