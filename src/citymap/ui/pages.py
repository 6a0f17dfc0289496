"""The pages of the staff process, each with the role it needs; what is not listed is not served."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from citymap.store.accounts import Role

SCREENS = Path(__file__).parent / "screens"


@dataclass(frozen=True, slots=True)
class Screen:
    """A file in `screens`, its title `ui.page.<name>` and who may open it."""

    name: str
    icon: str
    role: Role

    @property
    def path(self) -> Path:
        """Where it lies."""
        return SCREENS / f"{self.name}.py"

    @property
    def url_path(self) -> str:
        """Its path in the address."""
        return self.name.replace("_", "-")


PAGES = (
    Screen("public_map", ":material/public:", Role.STAFF),
    Screen("hazard_buildings", ":material/apartment:", Role.STAFF),
    Screen("building_list", ":material/table_view:", Role.STAFF),
    Screen("shelters", ":material/night_shelter:", Role.STAFF),
    Screen("flood_scenarios", ":material/flood:", Role.STAFF),
    Screen("damage_reports", ":material/report:", Role.STAFF),
    Screen("damage_form", ":material/add_a_photo:", Role.STAFF),
    Screen("layers", ":material/layers:", Role.STAFF),
    Screen("jobs", ":material/settings:", Role.STAFF),
)
