"""The Streamlit pages for staff: read widgets, ask one domain function, show."""
