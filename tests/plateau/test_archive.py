"""Sources: what is in them, and what is refused before it is unpacked."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from citymap.errors import BadInputError, CancelledError
from citymap.plateau.archive import discover, unpack
from citymap.progress import Quiet

GML = '<core:CityModel xmlns:core="http://www.opengis.net/citygml/2.0"></core:CityModel>'


def _raw_zip(path: Path, members: dict[bytes, bytes]) -> None:
    """A zip whose names are raw bytes without the UTF-8 flag, as old Windows tools write."""
    stand_ins = {n: f"m{i:04d}".ljust(len(n), "x") for i, n in enumerate(members)}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(stand_ins[name], data)
    data = path.read_bytes()
    for name, stand_in in stand_ins.items():
        data = data.replace(stand_in.encode(), name)
    path.write_bytes(data)


def test_city_zip_with_cp932_names(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    top = "22203_numazu-shi_city_2023_citygml_3_op/"
    _raw_zip(path, {
        f"{top}udx/fld/natl/狩野川/52385721_fld_6697_l1_op.gml".encode("cp932"): GML.encode(),
        f"{top}codelists/A.xml".encode("cp932"): b"<a/>",
        f"{top}schemas/s.xml".encode("cp932"): b"<a/>",
    })  # fmt: skip
    (file,) = discover([path], tmp_path / "work", progress=Quiet())
    assert (file.theme, file.mesh) == ("fld", "52385721")
    assert (file.city_code, file.city_name, file.edition) == ("22203", "numazu-shi", "2023")
    assert file.path.parent.name == "狩野川"
    assert file.root is not None and (file.root / "codelists" / "A.xml").is_file()


@pytest.mark.parametrize("name", ["../evil.gml", "/abs.gml", "a/../../b.gml", "C:/x.gml"])
def test_paths_out_of_the_archive_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, GML)
    with pytest.raises(BadInputError):
        discover([path], tmp_path / "work", progress=Quiet())
    assert not list(tmp_path.rglob("*.gml"))


def test_links_in_an_archive_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("udx/bldg/1_bldg_.gml")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(BadInputError):
        discover([path], tmp_path / "work", progress=Quiet())


def test_too_large_an_archive_is_refused_before_unpacking(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a_bldg_.gml", b" " * (3 << 20))
    with pytest.raises(BadInputError):
        unpack(path, tmp_path / "work", progress=Quiet(), max_total=1 << 20)
    assert not list((tmp_path / "work").rglob("*.gml"))


def test_broken_zip_and_cancel(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a_bldg_.gml", GML)
    stopped = Quiet()
    stopped.cancel()
    with pytest.raises(CancelledError):
        discover([path], tmp_path / "work", progress=stopped)
    broken = bytearray(path.read_bytes())
    broken[broken.index(b"CityModel")] ^= 0xFF
    path.write_bytes(bytes(broken))
    with pytest.raises(BadInputError):
        discover([path], tmp_path / "work", progress=Quiet())


def test_theme_by_folder_then_name_then_content(tmp_path: Path) -> None:
    luse = GML.replace("></", "><core:cityObjectMember><luse:LandUse/></core:cityObjectMember></")
    fg = '<D xmlns="http://fgd.gsi.go.jp/spec/2008/FGD_GMLSchema"/>'
    for name, text in {
        "udx/fld/x_bldg_.gml": GML, "a/53394525_tran_6668.gml": GML, "b/plain.gml": luse,
        "c/shelters.csv": "名称", "c/dem.tif": "", "FG-GML-5339-45-DEM5A.xml": fg, "c/d.geojson": "{}",
        "c/readme.pdf": "",
    }.items():  # fmt: skip
        (tmp_path / "s" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "s" / name).write_text(text, encoding="utf-8")
    found = discover([tmp_path / "s"], tmp_path / "work", progress=Quiet())
    assert {f.path.name: f.theme for f in found} == {
        "x_bldg_.gml": "fld", "53394525_tran_6668.gml": "tran", "plain.gml": "luse",
        "shelters.csv": "csv", "dem.tif": "geotiff", "FG-GML-5339-45-DEM5A.xml": "fg-gml",
        "d.geojson": "geojson",
    }  # fmt: skip


def test_every_real_file_is_recognised(real_data: Path, tmp_path: Path) -> None:
    found = discover([real_data / "plateau_citygml"], tmp_path, progress=Quiet())
    gml = [f for f in found if f.path.suffix == ".gml"]
    assert len(gml) == len(list((real_data / "plateau_citygml").rglob("*.gml")))
    assert {f.theme for f in gml if f.path.parent.parent.name == "udx"} <= {
        "bldg", "brid", "dem", "fld", "lsld", "luse", "tnm", "tran", "urf",
    }  # fmt: skip
