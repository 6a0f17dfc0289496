"""Code lists: only from inside the data set, never invented."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from citymap.plateau.codelist import Codelists, read_dictionary

DICTIONARY = """<?xml version="1.0" encoding="UTF-8"?>
<gml:Dictionary xmlns:gml="http://www.opengis.net/gml" gml:id="cl">
<gml:name>Building_usage</gml:name>
<gml:dictionaryEntry><gml:Definition gml:id="a"><gml:description>住宅</gml:description>
<gml:name>411</gml:name></gml:Definition></gml:dictionaryEntry>
</gml:Dictionary>"""
SPACE = "../../codelists/Building_usage.xml"


@pytest.fixture
def city(tmp_path: Path) -> Path:
    root = tmp_path / "09999_midorikawa"
    (root / "codelists").mkdir(parents=True)
    (root / "udx" / "bldg").mkdir(parents=True)
    (root / "codelists" / "Building_usage.xml").write_text("\ufeff" + DICTIONARY, encoding="utf-8")
    (tmp_path / "secret.xml").write_text(DICTIONARY, encoding="utf-8")
    return root


def test_decodes_beside_the_file_and_after_pickling(city: Path) -> None:
    lists = pickle.loads(pickle.dumps(Codelists([city])))  # noqa: S301
    gml = city / "udx" / "bldg" / "x.gml"
    assert lists.decode(SPACE, "411", gml) == "住宅"
    assert lists.decode(SPACE, "999", gml) is None


def test_wrong_depth_falls_back_to_the_same_name_at_home(city: Path) -> None:
    gml = city / "udx" / "bldg" / "x.gml"
    lists = Codelists([city])
    assert lists.decode("../../../codelists/Building_usage.xml", "411", gml) == "住宅"
    assert lists.decode("../codelists/Building_usage.xml", "411", gml) == "住宅"
    assert lists.decode("../../codelists/Nothing.xml", "411", gml) is None


@pytest.mark.parametrize(
    "space",
    [
        "../../../secret.xml",
        "/etc/passwd",
        "http://example.org/a.xml",
        "file:///etc/passwd",
    ],
)
def test_nothing_outside_the_data_set_is_read(city: Path, space: str) -> None:
    lists = Codelists([city])
    assert lists.decode(space, "411", city / "udx" / "bldg" / "x.gml") is None
    assert space in lists.refused


def test_a_link_out_of_the_data_set_is_not_followed(city: Path) -> None:
    (city / "codelists" / "Link.xml").symlink_to(city.parent / "secret.xml")
    lists = Codelists([city])
    assert lists.decode("../../codelists/Link.xml", "411", city / "udx" / "bldg" / "x.gml") is None


def test_entities_are_not_expanded(city: Path) -> None:
    evil = DICTIONARY.replace(
        "<gml:Dictionary", '<!DOCTYPE a [<!ENTITY x "住宅">]>\n<gml:Dictionary', 1
    )
    evil = evil.replace(">住宅<", ">&x;<")
    (city / "codelists" / "Evil.xml").write_text(evil, encoding="utf-8")
    lists = Codelists([city])
    assert lists.decode("../../codelists/Evil.xml", "411", city / "udx" / "bldg" / "x.gml") is None


def test_every_real_code_list_reads(real_data: Path) -> None:
    paths = sorted(real_data.rglob("codelists/*.xml"))
    assert len(paths) > 500
    assert [p.name for p in paths if not read_dictionary(p)] == []
