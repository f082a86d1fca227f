"""Read transcripts: STM, CTM, RTTM, UEM, SegLST, SRT, VTT, plain text, and our JSON and Whisper's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from sessionscribe.core.errors import UserError, visible
from sessionscribe.core.files import read_text
from sessionscribe.core.text import undirected
from sessionscribe.formats.captions import read_srt, read_vtt
from sessionscribe.formats.reading import MAXQDA_ENDING, read_maxqda, read_txt
from sessionscribe.formats.scoring import read_ctm, read_rttm, read_stm, read_uem
from sessionscribe.formats.transcripts import read_json
from sessionscribe.formats.utterances import PlainTranscript, joined

READERS: dict[str, Callable[[Path, str], list[PlainTranscript]]] = {
    ".stm": read_stm,
    ".ctm": read_ctm,
    ".rttm": read_rttm,
    ".uem": read_uem,
    ".srt": read_srt,
    ".vtt": read_vtt,
    ".txt": read_txt,
    MAXQDA_ENDING: read_maxqda,
    ".json": read_json,
    ".seglst": read_json,
}
_KNOWN = f"Known endings: {' '.join(READERS)}"


def read(paths: Iterable[Path]) -> dict[str, PlainTranscript]:
    """Read files, and all files of known formats in folders, and return a transcript per session.

    Raises:
        UserError: a path is missing, of an unknown format or invalid, or two files have the same content.
    """
    return joined(part for path in paths for file in files_of(path) for part in read_file(file))


def files_of(path: Path) -> list[Path]:
    """Return the file itself, or all files of known formats in a folder.

    Raises:
        UserError: the folder has none.
    """
    if not path.is_dir():
        return [path]
    found = [child for child in sorted(path.iterdir()) if child.suffix.lower() in READERS and child.is_file()]
    if not found:
        raise UserError("no file of a known format in this folder", where=path, hint=_KNOWN)
    return found


def read_file(path: Path) -> list[PlainTranscript]:
    """Read a file and return a transcript for each session in it; without names, it is the file's name.

    Raises:
        UserError: the file is missing, of an unknown format, or invalid.
    """
    reader = READERS.get(MAXQDA_ENDING if path.name.lower().endswith(MAXQDA_ENDING) else path.suffix.lower())
    if reader is None:
        if not path.exists():
            raise UserError("there is no such file", where=path, hint="Check the path")
        raise UserError(
            f"files ending in {visible(path.suffix) or 'nothing'} cannot be read", where=path, hint=_KNOWN
        )
    try:
        return reader(path, undirected(read_text(path)))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError("there is no such file", where=path, hint="Check the path") from error
    except UnicodeDecodeError as error:
        raise UserError(f"is not UTF-8 text (byte {error.start})", where=path, hint="Convert it") from error
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", where=path, hint="Check the file") from error
