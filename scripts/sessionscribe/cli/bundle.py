"""The sub-commands ``bundle`` and ``import``."""

from __future__ import annotations

import argparse
from contextlib import ExitStack, nullcontext
from pathlib import Path

import yaml

from sessionscribe.artifacts.bundle import Kind, SessionBundle
from sessionscribe.cli import run, workflow
from sessionscribe.cli.options import SESSIONS, SETTINGS, argument, command, flag, load, repeated
from sessionscribe.config.settings import Config
from sessionscribe.core.errors import UserError, complain, one_by_one, visible
from sessionscribe.core.files import sha256, write_text
from sessionscribe.manifest import manifest
from sessionscribe.planning import status
from sessionscribe.planning.plan import Plan
from sessionscribe.planning.session import SessionPlan
from sessionscribe.planning.session_files import is_audio
from sessionscribe.sharing import bundle as bundles
from sessionscribe.sharing.bundle_import import Imported, edits_differ, merged_rows, place_files, renamed
from sessionscribe.sharing.bundle_reader import MAX_GB, OpenBundle, check_beside, open_bundle
from sessionscribe.sharing.places import Place, scratch
from sessionscribe.storage import listing, transfer

ROOT = Path()
FOLDER = "bundles"
FIRST = {"ingest", "convert", "chunk"}
"""The stages that are done before a work bundle is packed."""
SHOWN = 200
"""Characters of a setting of others, at most."""


MOST = argument("--max-gb", "N", "refuse larger bundles (default: 20)", type=float, default=MAX_GB)


@command(
    "bundle",
    *(SETTINGS, SESSIONS, MOST),
    flag("--results", "results only, without the audio to continue"),
    repeated("--since", "BUNDLE", "only what these bundles lack"),
    flag("--models", "also pack the model, if it is a local folder"),
    argument("--to", "PLACE", "a folder, `remote:path` or `s3://` (default: bundles)", default=FOLDER),
    argument("--check", "FILE", "only check a bundle, local or on a remote"),
)
def pack(options: argparse.Namespace, config: Config) -> int:
    """Pack sessions into files for another machine to continue."""
    if options.check:
        return check(Place(options.check), options.max_gb)
    plan = Plan(config, ROOT)
    due = {name: {step.stage for step in found.pending.values()} for name, found in plan.sessions.items()}
    names = [n for n, stages in due.items() if stages & FIRST and not plan.sessions[n].session.problem]
    if names and not options.results:
        print(f"Converting and cutting first: {', '.join(names)}", flush=True)
        if run.make(options, workflow.Request(), names, stage="chunk"):
            return 1
        plan = Plan(config, ROOT)
    place = Place(options.to)
    before = [_since(Place(name)) for name in options.since]
    known = {entry for found in before for about in found for entry in about.contents}
    kind: Kind = "part" if options.since else "results" if options.results else "work"

    def write(session: SessionPlan) -> None:
        if session.session.problem:
            raise UserError(session.session.problem, where=session.session.name, hint="Put that right first")
        if not options.results and any(is_audio(path) for path in session.absent):
            what = "cannot be bundled without its recording, which is not here"
            hint = "Bundle its results (`--results`), or restore the recording"
            raise UserError(what, where=session.session.name, hint=hint)
        with scratch(ROOT) if place.is_remote else nullcontext(place.path) as folder:
            made = bundles.write_bundle(
                session,
                config,
                folder,
                root=ROOT,
                kind=kind,
                known=known,
                number=sum(map(len, before)),
                with_model=options.models,
            )
            if made is None:
                print(f"nothing new: {session.session.name}")
                return
            path, about = made
            if place.is_remote:
                place.put([*sorted(folder.glob(f"{path.name}.*")), path])
            size = path.stat().st_size / 1e6
        print(f"bundled {about.session}: {place.name}/{path.name}, {len(about.files)} files, {size:.1f} MB")

    return one_by_one(plan.sessions, write)


def _since(place: Place) -> list[SessionBundle]:
    """Return the contents of the bundles in a place.

    Raises:
        UserError: there is none that can be read.
    """
    if found := place.contents():
        return list(found.values())
    raise UserError("contains no bundle", where=place.name, hint="Name a `.zip`, or a folder of them")


def check(place: Place, max_gb: float) -> int:
    """Check a bundle without writing anything: a local one by its contents, a remote one by its checksum."""
    if place.is_remote:
        item = listing.stat(place.name)
        if item is None:
            raise UserError("does not exist", where=place.name, hint="Name a bundle's `.zip`")
        algorithm, digest = transfer.split_checksum(item.checksum)
        with scratch(ROOT) as folder:
            beside = f"{place.name}.{algorithm}"
            found = dict(transfer.fetch([beside], folder))
            if beside not in found:
                hint = "Import it, which checks its content"
                raise UserError(f"has no {algorithm} beside it to compare", where=place.name, hint=hint)
            if found[beside].read_text(errors="replace").split(" ")[0] != digest:
                hint = "Bundle it again where it was made"
                raise UserError(f"is not what was sent ({algorithm})", where=place.name, hint=hint)
        print(f"{place.name}: {item.size / 1e6:.1f} MB, as it was sent ({algorithm})")
        return 0
    check_beside(place.path)
    with open_bundle(place.path, place.name, max_gb=max_gb) as bundle:
        bundle.verify()
        print(f"{place.name}: {bundle.about.session}, {len(bundle.about.files)} files, all intact")
    return 0


@command(
    "import",
    *(SETTINGS, MOST),
    argument("places", "PLACE", "bundles or folders; also `remote:path`", nargs="+"),
    argument("--as", "NAME", "import the session under another name", dest="name"),
    flag("--force", "replace results made differently here"),
    flag("-n --dry-run", "only check"),
)
def take(options: argparse.Namespace, config: Config) -> int:
    """Unpack bundles into this project."""
    code = 0
    imported: dict[str, Imported] = {}
    with ExitStack() as stack:
        found: dict[str, Path] = {}
        for name in options.places:
            found |= stack.enter_context(Place(name).fetched(ROOT))

        def bring(item: tuple[str, Path]) -> None:
            name, path = item
            with open_bundle(path, name, max_gb=options.max_gb, room=ROOT) as bundle:
                bundle.verify()
                if options.dry_run:
                    print(f"{name}: {bundle.about.session}, {len(bundle.about.files)} files, nothing wrong")
                    return
                called = renamed(bundle, options.name) if options.name else bundle
                _import(called, options, config, imported)

        if len(found) == 1:  # what is wrong with the only one is the answer
            bring(next(iter(found.items())))
        else:
            # Parts come after the bundles that have what they lack.
            in_order = sorted(found.items(), key=lambda item: ".part-" in Path(item[0]).name)
            code = one_by_one({name: (name, path) for name, path in in_order}, bring)
    for session, result in imported.items():
        _show(result, load(options, [session]), options)
    return code


def _import(
    bundle: OpenBundle, options: argparse.Namespace, config: Config, imported: dict[str, Imported]
) -> None:
    session, table = bundle.session(), ROOT / config.manifest
    with manifest.locked(table):
        known = manifest.read(table)
        rows = merged_rows(known, session, bundle.place)
        if rows != [row for other in known.values() for row in other.rows]:
            manifest.write(table, rows)
    settings = load(options, [session.name])
    if edits_differ(bundle, ROOT):
        complain(f"{bundle.place}: its corrections of {session.name} differ from those here, which stay")
    result = imported.setdefault(session.name, Imported(bundle.about))
    result.about = bundle.about
    place_files(bundle, Plan(settings, ROOT).sessions[session.name], result, root=ROOT, force=options.force)


def _show(result: Imported, config: Config, options: argparse.Namespace) -> None:
    """Print how much of a session is here now, which settings differ, and how to continue."""
    about = result.about
    plan = Plan(config, ROOT).sessions[about.session]
    row = status.status_of(ROOT, plan)
    facts = [f"placed {len(result.placed)} files", f"{row.chunks_done} of {row.chunks} chunks"]
    facts += [f"made with: {visible(about.engine)}"] * bool(about.engine)
    print(f"{about.session}: {'; '.join(facts)}")
    if about.requirements != sha256(bundles.REQUIREMENTS):
        print("    made with other versions of packages: the results stay valid, and their records name them")
    if result.kept:
        print(f"    kept as made here: {visible(', '.join(sorted(result.kept)))} (--force replaces them)")
    more = ""
    matters = plan.pending or result.kept
    differ = bundles.differences(about, config, bundles.models_of(plan)) if matters else {}
    for (section, name), (ours, theirs) in differ.items():
        print(visible(f"    {section}.{name}: {ours} here, {theirs} in the bundle")[:SHOWN])
    path = ROOT / FOLDER / f"{about.session}.settings.yaml"
    path.unlink(missing_ok=True)
    if usable := bundles.usable(about, differ, ROOT):
        write_text(path, yaml.safe_dump(usable))
        more = "".join(f" --configfile {name}" for name in [*options.configfile, path])
    if plan.pending or more:
        print(f"Continue: sessionscribe run --session {about.session}{more}")
        if more:
            print("    That file has the bundle's settings; without it, yours are used.")
