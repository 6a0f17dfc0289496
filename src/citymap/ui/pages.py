"""The pages of the staff process, each with the role it needs; what is not listed is not served."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from citymap.store.accounts import Role

SCREENS = Path(__file__).parent / "screens"


@dataclass(frozen=True, slots=True)
class Screen:
    """A file in `screens`, its title `ui.page.<name>`, who may open it, and under which heading
    `ui.pages.<group>` it stands.
    """

    name: str
    icon: str
    role: Role
    group: str = "manage"

    @property
    def path(self) -> Path:
        """Where it lies."""
        return SCREENS / f"{self.name}.py"

    @property
    def url_path(self) -> str:
        """Its path in the address."""
        return self.name.replace("_", "-")


PAGES = (
    Screen("public_map", ":material/public:", Role.STAFF, "city"),
    Screen("hazard_buildings", ":material/apartment:", Role.STAFF, "city"),
    Screen("building_list", ":material/table_view:", Role.STAFF, "city"),
    Screen("shelters", ":material/night_shelter:", Role.STAFF, "respond"),
    Screen("live", ":material/water:", Role.STAFF, "respond"),
    Screen("leave_by", ":material/schedule:", Role.STAFF, "respond"),
    Screen("flood_scenarios", ":material/flood:", Role.STAFF, "plan"),
    Screen("evacuation", ":material/directions_run:", Role.PLANNER, "plan"),
    Screen("damage_reports", ":material/report:", Role.STAFF, "respond"),
    Screen("damage_form", ":material/add_a_photo:", Role.STAFF, "respond"),
    Screen("layers", ":material/layers:", Role.STAFF),
    Screen("model_update", ":material/update:", Role.STAFF),
    Screen("jobs", ":material/settings:", Role.STAFF),
)
