"""被害を報告: the same form that phones keep, online."""

from citymap.ui.city import open_city
from citymap.ui.form_frame import report_form

report_form(open_city().root_path)
