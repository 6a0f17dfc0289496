"""GML dictionaries (codelists): a code and its codeSpace → the text, inside the data set only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lxml import etree

from citymap.plateau.header import hardened_parser

CODELIST_LIMIT = 64 << 20


class Codelists:
    """Resolves codes against the `codelists/` folders of one or more data-set roots.

    A codeSpace is a path relative to the CityGML file. It is followed only while it stays inside a
    data set; otherwise, and where the path leads nowhere, a file of the same name in a
    `codelists/` folder of the roots is taken. Unknown codes give None: nothing is invented.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = tuple(Path(r).resolve() for r in roots)
        self._folders = tuple(
            folder
            for root in self._roots
            for folder in (root / "codelists", root)
            if folder.is_dir()
        )
        self._cache: dict[tuple[str, Path], Mapping[str, str]] = {}
        self._files: dict[Path, Mapping[str, str]] = {}
        self.refused: set[str] = set()

    def __getstate__(self) -> dict[str, object]:
        return {
            "_roots": self._roots,
            "_folders": self._folders,
            "_cache": {},
            "_files": {},
            "refused": set(),
        }

    def decode(self, code_space: str, code: str, gml_file: Path) -> str | None:
        """The text of `code`, None where the list or the code is not known."""
        return self.dictionary(code_space, gml_file).get(code)

    def dictionary(self, code_space: str, gml_file: Path) -> Mapping[str, str]:
        """All codes of a list; empty where it cannot be found or read."""
        key = (code_space, gml_file.parent)
        if key not in self._cache:
            path = self._find(code_space, gml_file)
            self._cache[key] = self._read(path) if path is not None else {}
        return self._cache[key]

    def _find(self, code_space: str, gml_file: Path) -> Path | None:
        if "://" in code_space or code_space.startswith(("/", "\\")) or "\0" in code_space:
            self.refused.add(code_space)
        else:
            path = (gml_file.parent / code_space.replace("\\", "/")).resolve()
            inside = any(path.is_relative_to(root) for root in self._roots)
            if inside and path.is_file():
                return path
            if not inside and path.exists():
                self.refused.add(code_space)
        name = code_space.replace("\\", "/").rsplit("/", 1)[-1]
        if not name.endswith(".xml"):
            return None
        own = [
            f
            for f in self._folders
            if gml_file.is_relative_to(f.parent) or gml_file.is_relative_to(f)
        ]
        for folder in dict.fromkeys([*own, *self._folders]):
            candidate = folder / name
            if candidate.is_file() and candidate.resolve().is_relative_to(folder.resolve()):
                return candidate
        return None

    def _read(self, path: Path) -> Mapping[str, str]:
        if path not in self._files:
            self._files[path] = read_dictionary(path)
        return self._files[path]


def read_dictionary(path: Path) -> dict[str, str]:
    """`{gml:name: gml:description}` of a GML Dictionary; {} when it is not readable XML."""
    if path.stat().st_size > CODELIST_LIMIT:
        return {}
    if b"<!DOCTYPE" in path.read_bytes()[:65536]:
        return {}
    try:
        root = etree.parse(str(path), hardened_parser()).getroot()
    except (etree.XMLSyntaxError, OSError):
        return {}
    codes: dict[str, str] = {}
    for definition in root.iter("{*}Definition"):
        name = definition.findtext("{*}name")
        text = definition.findtext("{*}description")
        if name and text:
            codes.setdefault(name.strip(), text.strip())
    return codes
