"""
A zip of CSV files, read with suspicion and written the same every time.

What is in memory is bounded by `MAX_BYTES` and `MAX_CELLS`, whatever the zip says of itself; nothing
is ever unpacked to disk.
"""

import csv
import io
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence

from gateway.errors import InvalidDocument, TooLarge

MAX_FILES = 64
MAX_BYTES = 40 * 1024 * 1024  # unpacked, all files together; a document in base64 fits
MAX_CELLS = 500_000  # as many as XML may have elements and attributes
MAX_DIRECTORY = 64 * 1024  # bytes of the list of files in the zip

_END = struct.Struct("<4s4H2LH")  # end of central directory record (APPNOTE 4.3.16)
_EPOCH = (1980, 1, 1, 0, 0, 0)
_CSV = {"delimiter": ";", "lineterminator": "\r\n", "strict": True}

Rows = list[list[str]]


def read(document: bytes, known: Collection[str]) -> dict[str, Rows]:
    """
    The rows of every file, the first being the header; blank lines are left out.

    Raises TooLarge for a bomb, InvalidDocument for what is no zip, encrypted, not in `known` (so
    that no path leads anywhere), there twice, no UTF-8 or no CSV.
    """
    found: dict[str, Rows] = {}
    left, cells = MAX_BYTES, MAX_CELLS
    for name, stream in _members(document, known):
        with stream:
            try:
                content = stream.read(left + 1)  # what the zip says of the size proves nothing
            except (zipfile.BadZipFile, zlib.error, EOFError) as error:
                raise InvalidDocument("Het bestand in de zip is beschadigd.", path=name) from error
        left -= len(content)
        cells -= content.count(b";") + content.count(b"\n") + content.count(b"\r")
        if left < 0 or cells < 0:
            raise TooLarge("De bestanden in de zip zijn uitgepakt te groot.", path=name)
        found[name] = _rows(name, content)
    return found


def write(files: Mapping[str, Sequence[Sequence[str]]]) -> bytes:
    """The zip: UTF-8 with BOM, as spreadsheets want it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, rows in files.items():
            text = io.StringIO(newline="")
            csv.writer(text, **_CSV).writerows(rows)  # type: ignore[arg-type]
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, text.getvalue().encode("utf-8-sig"))
    return out.getvalue()


def _members(document: bytes, known: Collection[str]) -> Iterator[tuple[str, zipfile.ZipExtFile]]:
    """The files of a zip by name, opened."""
    _check_directory(document)
    try:
        archive = zipfile.ZipFile(io.BytesIO(document))
    except (zipfile.BadZipFile, ValueError, RuntimeError, struct.error) as error:
        raise InvalidDocument("De zip is beschadigd.") from error
    with archive:
        entries = archive.infolist()
        names = {entry.filename for entry in entries}
        if len(names) < len(entries):
            raise InvalidDocument("Een bestand staat tweemaal in de zip.")
        if not names <= set(known):
            raise InvalidDocument("De zip bevat een bestand dat dit koppelvlak niet kent.")
        for entry in entries:
            try:
                yield entry.filename, archive.open(entry)  # type: ignore[misc]
            except (zipfile.BadZipFile, ValueError, RuntimeError, OSError) as error:
                what = "Het bestand in de zip is beschadigd, versleuteld of vreemd ingepakt."
                raise InvalidDocument(what, path=entry.filename) from error


def _check_directory(document: bytes) -> None:
    """Refuse a list of files that would take more memory to read than it deserves."""
    start = len(document) - _END.size
    if start < 0 or document[start : start + 4] != b"PK\5\6":
        raise InvalidDocument("Het document is geen zip, of een met commentaar erachter.")
    _, _, _, _, count, size, _, _ = _END.unpack(document[start:])
    if count > MAX_FILES or size > MAX_DIRECTORY or document[start - 20 : start - 16] == b"PK\6\7":
        raise TooLarge(f"Een zip bevat hoogstens {MAX_FILES} bestanden.")


def _rows(name: str, content: bytes) -> Rows:
    csv.field_size_limit(MAX_BYTES)  # of the whole process; nothing else here reads CSV
    rows: Rows = []
    try:
        text = io.StringIO(content.decode("utf-8-sig"), newline="")
        rows.extend(filter(None, csv.reader(text, **_CSV)))  # type: ignore[arg-type]
    except UnicodeDecodeError:  # from None: it quotes the document
        raise InvalidDocument("Het bestand is geen UTF-8.", path=name) from None
    except csv.Error:
        what = f"Geen geldige CSV met puntkomma's na rij {len(rows)}."
        raise InvalidDocument(what, path=name) from None
    return rows
