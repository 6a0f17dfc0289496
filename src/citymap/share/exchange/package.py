"""The ZIP of an export: files, ISO 19115 metadata (JMP 2.0 core), checksums and a note to read first."""

from __future__ import annotations

import hashlib
import zipfile
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import shapely

from citymap import crs
from citymap.share.exchange.format import shapes

if TYPE_CHECKING:
    from pathlib import Path

    from citymap.share.exchange.format import Written
    from citymap.share.exchange.layer import Outgoing
    from citymap.workspace import City

WHEN = (1980, 1, 1, 0, 0, 0)  # so that the same data make the same archive


def iso19115(layer: Outgoing, city: City, epsg: int, *, lang: str = "ja") -> str:
    """The core elements of JMP 2.0 (ISO 19139 encoding): title, abstract, extent, CRS, lineage."""
    placed = shapes(layer.table)
    west, south, east, north = shapely.total_bounds(placed) if len(placed) else (0, 0, 0, 0)
    title = escape(f"{city.name} {layer.title.get(lang) or layer.id}")
    text = "gco:CharacterString"

    def string(tag: str, value: str) -> str:
        return f"<gmd:{tag}><{text}>{escape(value)}</{text}></gmd:{tag}>"

    def decimal(tag: str, value: float) -> str:
        return f"<gmd:{tag}><gco:Decimal>{value:.7f}</gco:Decimal></gmd:{tag}>"

    extent = (
        decimal("westBoundLongitude", west) + decimal("eastBoundLongitude", east)
        + decimal("southBoundLatitude", south) + decimal("northBoundLatitude", north)
    )  # fmt: skip
    lineage = layer.source or "citymap"
    vintage = layer.vintage or "不明"
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<gmd:MD_Metadata xmlns:gmd="http://www.isotc211.org/2005/gmd" xmlns:gco="http://www.isotc211.org/2005/gco">
{string("fileIdentifier", f"{city.code}-{layer.id}")}
{string("language", "jpn")}
<gmd:contact><gmd:CI_ResponsibleParty>{string("organisationName", city.name)}<gmd:role><gmd:CI_RoleCode codeList="http://www.isotc211.org/2005/resources/codelist/gmxCodelists.xml#CI_RoleCode" codeListValue="pointOfContact"/></gmd:role></gmd:CI_ResponsibleParty></gmd:contact>
<gmd:referenceSystemInfo><gmd:MD_ReferenceSystem><gmd:referenceSystemIdentifier><gmd:RS_Identifier>{string("code", f"EPSG:{epsg}")}</gmd:RS_Identifier></gmd:referenceSystemIdentifier></gmd:MD_ReferenceSystem></gmd:referenceSystemInfo>
<gmd:identificationInfo><gmd:MD_DataIdentification>
<gmd:citation><gmd:CI_Citation><gmd:title><{text}>{title}</{text}></gmd:title>{string("edition", vintage)}</gmd:CI_Citation></gmd:citation>
{string("abstract", f"{layer.id}: {layer.table.num_rows}")}
<gmd:resourceConstraints><gmd:MD_LegalConstraints>{string("useLimitation", city.attribution or city.name)}</gmd:MD_LegalConstraints></gmd:resourceConstraints>
<gmd:extent><gmd:EX_Extent><gmd:geographicElement><gmd:EX_GeographicBoundingBox>{extent}</gmd:EX_GeographicBoundingBox></gmd:geographicElement></gmd:EX_Extent></gmd:extent>
</gmd:MD_DataIdentification></gmd:identificationInfo>
<gmd:dataQualityInfo><gmd:DQ_DataQuality><gmd:lineage><gmd:LI_Lineage>{string("statement", lineage)}</gmd:LI_Lineage></gmd:lineage></gmd:DQ_DataQuality></gmd:dataQualityInfo>
</gmd:MD_Metadata>
"""


def zipped(layer: Outgoing, written: Written, city: City, epsg: int, out: Path) -> None:
    """Write the archive; every member's SHA-256 stands in `SHA256SUMS`."""
    members = {path.name: path.read_bytes() for path in written.files}
    members["metadata.xml"] = iso19115(layer, city, epsg).encode()
    lines = [
        f"{city.name} / {layer.title.get('ja') or layer.id}",
        f"CRS: EPSG:{epsg}" + (" (JGD2011)" if epsg == crs.GEOGRAPHIC else ""),
        f"出典 Attribution: {city.attribution or city.name}",
        f"時点 Vintage: {layer.vintage or '不明 unknown'}",
        f"件数 Features: {layer.table.num_rows}",
    ]
    if city.fictional:
        lines.append("架空の都市です。実在の場所ではありません / A fictional city")
    members["README.txt"] = ("\r\n".join(lines) + "\r\n").encode("utf-8-sig")
    sums = "".join(
        f"{hashlib.sha256(body).hexdigest()}  {name}\n" for name, body in members.items()
    )
    members["SHA256SUMS"] = sums.encode()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in members.items():
            info = zipfile.ZipInfo(name, WHEN)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, body)
