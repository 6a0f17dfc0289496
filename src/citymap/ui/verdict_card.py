"""Stay or leave, for one building: the answer in words, its reasons, and a section with the water."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from citymap.ui.speech import say

COLOURS = {
    "leave": "#d55e00", "unknown": "#777777", "stay_upstairs": "#0072b2", "outside_assumed_area": "#6b6b5e",
}  # fmt: skip
STOREY_M, DRAWN_STOREYS = 3.0, 12
CONDITIONS = ("supplies", "way_up", "condition")


def answer(found: Sequence[Mapping[str, Any]]) -> str:
    """HTML of the answer; what was not computed is said to be so."""
    title = f'<div class="cm-head">{escape(say("verdict.title"))}</div>'
    if not found:
        return f'{title}<div class="cm-warn">{escape(say("verdict.not_computed"))}</div>'
    worst = found[0]
    verdict = str(worst["verdict"])
    head = (
        f'<div class="cm-verdict" style="border-left:6px solid {COLOURS[verdict]};padding:4px 10px">'
        f"<b>{escape(say(f'verdict.{verdict}'))}</b></div>"
    )
    reasons = "".join(f"<li>{escape(say(f'reason.{code}'))}</li>" for code in worst["reasons"])
    conditions = ""
    if verdict == "stay_upstairs":
        listed = "".join(f"<li>{escape(say(f'verdict.if_{c}'))}</li>" for c in CONDITIONS)
        conditions = f"<p>{escape(say('verdict.if'))}</p><ul>{listed}</ul>"
    return f"{title}{head}<ul>{reasons}</ul>{conditions}"


def sets(found: Sequence[Mapping[str, Any]]) -> str:
    """HTML of the sets that reach the building."""
    return "".join(_set(one) for one in found[1:] if one["verdict"] != "outside_assumed_area")


def _set(one: Mapping[str, Any]) -> str:
    name = one["name"].strip() or one["set"]
    scale = say(f"scale.{one['scale']}") if one["scale"] in {"L1", "L2"} else ""
    lines = [say(f"verdict.{one['verdict']}"), *_facts(one)]
    warning = say("card.disagrees") if one.get("disagrees") else ""
    return (
        f'<div class="cm-risk"><span class="cm-chip" style="background:{COLOURS[one["verdict"]]}"></span>'
        f"<div><b>{escape(name)}</b><small>{escape(scale)}</small>"
        + "".join(f"<p>{escape(line)}</p>" for line in lines)
        + (f'<p class="cm-warn">{escape(warning)}</p>' if warning else "")
        + "</div></div>"
    )  # fmt: skip


def _facts(one: Mapping[str, Any]) -> list[str]:
    """What a set says here; of areas (a slope) only the kinds of zone, which have no depth."""
    zones = list(one.get("zones") or ())
    lines = []
    if not zones or one["depth_max_m"] is not None:
        depth = say("unknown") if one["depth_max_m"] is None else f"{one['depth_max_m']:.1f} m"
        hours = (
            say("unknown")
            if one["duration_h"] is None
            else say("card.hours", hours=f"{one['duration_h']:.0f}")
        )
        lines.append(f"{say('card.depth')} {depth} ・ {say('card.duration')} {hours}")
    if one.get("arrival_h") is not None:
        hours = say("card.hours", hours=f"{one['arrival_h']:.1f}")
        lines.append(f"{say('card.arrival')} {hours}")
    return lines + [say(f"zone.{zone}") for zone in zones]


def section(
    depth_m: float | None, dry_floor: int | None, storeys: int | None, height_m: float | None
) -> str:
    """A section of the building with its storeys and the water line (SVG); empty without water."""
    if depth_m is None or depth_m <= 0:
        return ""
    estimated = storeys is None
    drawn = storeys or (max(1, int(((height_m or 4.0) - 1.0) // STOREY_M)))
    drawn = min(drawn, DRAWN_STOREYS)
    scale = 22.0 / STOREY_M  # px a metre
    top = max(drawn * STOREY_M, depth_m) + 2.0
    ground = 10 + top * scale
    parts = [f'<rect x="0" y="{ground:.0f}" width="240" height="8" fill="#b9ac98"/>']
    for floor in range(1, drawn + 1):
        y = ground - floor * STOREY_M * scale
        dry = dry_floor is not None and floor >= dry_floor
        fill = "#f4f1ea" if not dry else "#d9ecd0"
        dash = ' stroke-dasharray="4 3"' if estimated else ""
        parts.append(
            f'<rect x="70" y="{y:.0f}" width="100" height="{STOREY_M * scale:.0f}" fill="{fill}" stroke="#555"{dash}/>'
            f'<text x="120" y="{y + 15:.0f}" font-size="12" text-anchor="middle" fill="#333">{floor}F</text>'
        )
    water = ground - depth_m * scale
    parts.append(
        f'<rect x="0" y="{water:.1f}" width="240" height="{depth_m * scale:.1f}" fill="#3b82c4" fill-opacity="0.35"/>'
        f'<line x1="0" x2="240" y1="{water:.1f}" y2="{water:.1f}" stroke="#1c5f9c" stroke-width="2"/>'
        f'<text x="4" y="{water - 4:.0f}" font-size="12" fill="#1c5f9c">{depth_m:.1f} m</text>'
    )
    label = say("verdict.section", depth=f"{depth_m:.1f}", storeys=drawn)
    return (
        f'<svg role="img" aria-label="{escape(label)}" viewBox="0 0 240 {ground + 8:.0f}" width="240" '
        f'height="{ground + 8:.0f}" xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )
