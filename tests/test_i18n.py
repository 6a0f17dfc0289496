"""Every text shown to a person exists in Japanese and English, and every error has a remedy."""

from __future__ import annotations

import ast
import re
import string
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from citymap import city_messages
from citymap.errors import BadInputError
from citymap.i18n import LANGUAGES, _flatten, catalogue, override, t
from citymap.workspace import Workspace

SOURCE = Path(__file__).resolve().parent.parent / "src" / "citymap"
FILES = sorted((SOURCE / "i18n" / "catalogue").glob("*.toml"))
# fetch_…, not_found, …: keys given literally to an error of the family
RAISED = {"CitymapError", "BadInputError", "SchemaError"}


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_no_key_stands_twice() -> None:
    keys = Counter(
        key
        for file in FILES
        for key, _ in _flatten("", tomllib.loads(file.read_text(encoding="utf-8")))
    )
    assert [k for k, n in keys.items() if n > 1] == []


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_every_key_has_both_languages_with_the_same_placeholders(file: Path) -> None:
    for key, texts in _flatten("", tomllib.loads(file.read_text(encoding="utf-8"))):
        plain = {"easy"} if file.stem == "map" else set()  # やさしい日本語 where a resident reads
        assert set(texts) - plain == set(LANGUAGES), key
        assert all(v.strip() for v in texts.values()), key
        ja, *others = (placeholders(text) for text in texts.values())
        assert all(other == ja for other in others), key


def test_japanese_texts_are_japanese() -> None:
    # names such as "CSV" or "3D" stay as they are; anything of three words is a sentence
    plain = [
        k for k, v in catalogue().items()
        if len(v["ja"].split()) >= 3 and not re.search("[\u3040-\u30ff\u4e00-\u9fff]", v["ja"])
    ]  # fmt: skip
    assert plain == []


def test_every_error_has_a_remedy_and_every_remedy_an_error() -> None:
    errors = {k.removeprefix("error.") for k in catalogue() if k.startswith("error.")}
    remedies = {k.removeprefix("remedy.") for k in catalogue() if k.startswith("remedy.")}
    assert errors - remedies == set()
    assert remedies - errors == set()


def asked_for(functions: set[str], folder: str = "") -> set[tuple[str, str]]:
    """Literal first arguments of calls of these names, with the place where they stand."""
    found = set()
    for path in (SOURCE / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (
                isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)
            ):
                continue
            name = (
                node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            )
            if name in functions and isinstance(node.args[0].value, str):
                found.add((node.args[0].value, f"{path.relative_to(SOURCE)}:{node.lineno}"))
    return found


def test_every_error_raised_in_the_code_has_a_text() -> None:
    missing = {(k, place) for k, place in asked_for(RAISED) if f"error.{k}" not in catalogue()}
    assert missing == set()


def test_every_key_that_the_code_asks_for_has_a_text() -> None:
    asked = asked_for({"t"}) | {(f"ui.{k}", place) for k, place in asked_for({"say"}, "ui")}
    assert {(k, place) for k, place in asked if k not in catalogue()} == set()


def test_an_unknown_placeholder_does_not_break_a_message() -> None:
    assert t("error.not_found", "en", path="x") == "x does not exist"
    assert t("error.not_found", "en", other=1) == "{path} does not exist"
    assert t("no.such.key") == "no.such.key"


def literals() -> set[str]:
    """Every text constant of the code, f-strings as their fixed parts."""
    found: set[str] = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return found


def renderer_texts() -> str:
    folders = [SOURCE.parents[1] / "frontend" / name for name in ("src", "light")]
    paths = [path for folder in folders for path in folder.rglob("*.ts")]
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def used_by_the_renderer(key: str, source: str) -> bool:
    """Whether the renderer names a key, whole or with the end filled in from data."""
    key = key.removeprefix("map.")
    return f"'{key}'" in source or f"`{key.partition('.')[0]}.$" in source


def used(key: str, said: set[str]) -> bool:
    """Whether a key is named in the code, whole or with the end filled in from data."""
    names = {key, key.removeprefix("ui.")}
    if names & said:
        return True
    return any(
        name[:at] in said - {"ui.", "."}
        for name in names
        for at in range(1, len(name))
        if name[at - 1] in "._"
    )


def test_no_message_is_unused() -> None:
    said = literals()
    raised = {k for k, _ in asked_for(RAISED)}
    quoted = {k.removeprefix("error.") for k in catalogue()} & said | raised
    renderer = renderer_texts()
    unused = []
    for key in catalogue():
        area, _, rest = key.partition(".")
        if area in {"error", "remedy"}:
            if rest not in quoted:
                unused.append(key)
        elif area == "map":
            if not used_by_the_renderer(key, renderer):
                unused.append(key)
        elif not used(key, said):
            unused.append(key)
    assert unused == []


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Workspace]:
    yield Workspace(tmp_path)
    override({})


def test_a_city_says_it_in_its_own_words(own: Workspace) -> None:
    (own.root / "messages.toml").write_text(
        '[error.not_found]\nja = "{path} はありません（市役所）"'
    )
    city_messages.use(own)
    assert t("error.not_found", "ja", path="x") == "x はありません（市役所）"
    assert t("error.not_found", "en", path="x") == "x does not exist"
    (own.root / "messages.toml").unlink()
    city_messages.use(own)
    assert "市役所" not in t("error.not_found", "ja", path="x")


@pytest.mark.parametrize(
    ("text", "key"),
    [('[error.not_fuond]\nja = "a"', "unknown_message"), ("x =", "bad_messages"),
     ('[error.not_found]\nja = "{other}"', "bad_messages"), ('[error.not_found]\nja = "{"', "bad_messages"),
     ('[error.not_found]\nfr = "a"', "bad_messages")],
)  # fmt: skip
def test_wrong_words_of_a_city_are_refused(own: Workspace, text: str, key: str) -> None:
    (own.root / "messages.toml").write_text(text)
    with pytest.raises(BadInputError) as caught:
        city_messages.use(own)
    assert caught.value.key == key
    assert caught.value.message("ja")


def test_an_error_names_its_place_once() -> None:
    named = BadInputError("exposure_unknown_hazard", place="kinu", known="a, b")
    assert named.message("en").splitlines()[0].count("kinu") == 1
    assert named.as_dict("en")["message"] == "there is no hazard kinu (there are: a, b)"
    assert BadInputError("not_xml", place="a.gml").message("en").startswith("a.gml: ")
