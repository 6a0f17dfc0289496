"""The staff process as an installed wheel runs it: `uvicorn citymap.ui.staff:app`."""

import streamlit as st

from citymap.ui.asgi import MAIN, middleware
from citymap.ui.city import open_ahead
from citymap.web import routes

app = st.App(MAIN, routes=routes(), middleware=middleware())
open_ahead()
