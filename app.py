"""The staff process from a source checkout: `streamlit run app.py` or `uvicorn app:app`.

Streamlit finds `app` by reading this file, so the assignment stays plain. An installed wheel runs
the same through `citymap serve` (`citymap.ui.staff`).
"""

import streamlit as st

from citymap.ui.asgi import middleware
from citymap.web import routes

app = st.App("src/citymap/ui/main.py", routes=routes(), middleware=middleware())
