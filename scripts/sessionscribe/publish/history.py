"""Published versions in Git: which version of a session a revision names, and commits of single files."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import yaml

from sessionscribe.core.errors import UserError
from sessionscribe.publish.state import target_of

VERSION = re.compile(r"[0-9a-f]{32}\.dir")


@dataclass(frozen=True)
class Revision:
    """A commit that changed a session's published version."""

    commit: str
    date: str
    author: str
    version: str


def git(root: Path, *arguments: str, check: bool = True, lock: int | None = None) -> str:
    """Run git in the project's folder and return what it prints.

    Args:
        root: the project's folder.
        arguments: git's arguments.
        check: raise an error if git fails; otherwise, return "".
        lock: the descriptor of a lock for git to hold. Git then runs in a session of its own and can finish
            if we are killed, and processes that wait for the lock wait for git, too.
    """
    done = subprocess.run(
        ["git", *arguments],
        cwd=root,
        # No optional locks: read-only commands take them to refresh the index, and leave them when killed.
        env=os.environ | {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
        capture_output=True,
        check=False,
        start_new_session=lock is not None,
        pass_fds=() if lock is None else (lock,),
    )
    if done.returncode and check:
        said = " ".join(done.stderr.decode(errors="replace").split()) or f"exit code {done.returncode}"
        raise UserError(f"failed ({said})", where=f"git {arguments[0]}", hint="Fix that, then run again")
    return "" if done.returncode else done.stdout.decode(errors="surrogateescape")


def version_of(root: Path, session: str) -> str:
    """Return the version in the working tree's `.dvc` file; "" if there is none."""
    try:
        text = (root / target_of(session)).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    return version_in(text, target_of(session))


def version_in(text: str, where: str) -> str:
    """Return the version in the text of a `.dvc` file.

    Raises:
        UserError: it is not one of ours, or has the marks of a merge conflict.
    """
    try:
        (out,) = yaml.safe_load(text)["outs"]
        version = str(out["md5"])
    except (yaml.YAMLError, KeyError, ValueError, TypeError, RecursionError) as error:
        hint = "If it has a merge conflict, choose a side: `git checkout --ours` or `--theirs`, and its path"
        raise UserError("cannot be read", where=where, hint=hint) from error
    if not VERSION.fullmatch(version):
        raise UserError(
            "does not name a version", where=where, hint="Publish the session again where it was made"
        )
    return version


def revisions(root: Path, session: str) -> list[Revision]:
    """Return the commits that changed a session's version, newest first."""
    target = target_of(session)
    lines = git(root, "log", "--format=%H%x09%aI%x09%an", "--diff-filter=AM", "--", target).splitlines()
    found: list[Revision] = []
    for line in lines:
        commit, date, author = line.split("\t", 2)
        found.append(Revision(commit, date, author, version_in(at(root, session, commit), commit)))
    return found


def at(root: Path, session: str, revision: str) -> str:
    """Return the text of a session's `.dvc` file in a revision.

    Raises:
        UserError: there is no such revision, or the session is not published in it.
    """
    target = target_of(session)
    text = git(root, "show", "--end-of-options", f"{revision}:./{target}", check=False)
    if not text:
        what = f"has no published version of {session}"
        raise UserError(what, where=revision, hint=f"`sessionscribe versions {session}` lists them")
    return text


def dirty(root: Path, *paths: str) -> set[str]:
    """Return the files below these paths that are new or changed since the last commit.

    Paths outside of the project, which git refuses, are left out.
    """
    inside = [path for path in map(os.path.normpath, paths) if path.split(os.sep)[0] != os.pardir]
    given = [path for path in inside if not os.path.isabs(path)]
    if not given:
        return set()
    listed = git(root, "status", "--porcelain", "-z", "--untracked-files=all", "--", *given)
    prefix = git(root, "rev-parse", "--show-prefix").removesuffix("\n")
    return {entry[3:].removeprefix(prefix) for entry in listed.split("\0") if entry[2:3] == " "}


def commit(root: Path, paths: list[str], message: str, lock: int) -> None:
    """Commit these files only, even if others are staged."""
    git(root, "add", "--", *paths, lock=lock)
    git(root, "commit", "--quiet", "--message", message, "--only", "--", *paths, lock=lock)
