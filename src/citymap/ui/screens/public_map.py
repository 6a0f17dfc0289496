"""公開マップ: the map exactly as residents see it."""

from citymap.ui.city import open_city
from citymap.ui.map_frame import city_map

city_map(key="public_map", root_path=open_city().root_path, own_panel=True)
