"""The daily summaries on the page 被害報告: look at one, take it away."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import streamlit as st

from citymap.assess import daily_board
from citymap.reports.categories import in_force
from citymap.settings import Settings
from citymap.ui.job_progress import clock
from citymap.ui.speech import language, say

if TYPE_CHECKING:
    from citymap.ui.city import OpenCity


def show(city: OpenCity) -> None:
    """The kept summaries, the newest open."""
    kept = daily_board.kept(city.workspace)
    title = say("board.title", count=len(kept))
    with st.expander(title, icon=":material/calendar_month:", key="triage_boards"):
        if not kept:
            hour = Settings(city=city.workspace.root).board_hour
            st.caption(say("board.none", hour=hour) if hour >= 0 else say("board.off"))
            return
        pick, file = st.columns([2, 1], vertical_alignment="bottom")
        board = pick.selectbox(say("board.day"), kept, format_func=lambda b: b.day, key="board_day")
        file.download_button(
            say("board.csv"), lambda: daily_board.as_csv(board, city.workspace, language()),
            file_name=f"{city.city.code}_reports_{board.day}.csv", mime="text/csv", key="board_csv",
            on_click="ignore", icon=":material/download:", width="stretch",
        )  # fmt: skip
        since, until, made = (
            clock(datetime.fromisoformat(m)) for m in (board.since, board.until, board.made_at)
        )
        st.caption(say("board.period", since=since, until=until, made=made))
        st.markdown(f"**{say('board.waiting', count=board.waiting)}**")
        if not board.lines:
            st.caption(say("board.nothing"))
            return
        listed = in_force(city.workspace)
        st.dataframe(
            [
                {
                    say("board.district"): line.district or say("board.elsewhere"),
                    say("board.category"): listed.title(line.category, language()),
                    say("board.received"): line.received,
                    say("board.open"): line.open,
                }
                for line in board.lines
            ],
            hide_index=True, placeholder="–", width="stretch", key="board_table",
        )  # fmt: skip
