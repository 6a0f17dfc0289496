"""The log's set-up travels to the worker processes of the public side."""

from __future__ import annotations

import logging.config
import pickle
from typing import Literal

import pytest

from citymap.logs import configuration


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_configuration_reaches_another_process(form: Literal["text", "json"]) -> None:
    # As `workers = 2` sends it to the process that it starts.
    sent = pickle.loads(pickle.dumps(configuration(form)))  # noqa: S301
    assert sent == configuration(form)
    logging.config.DictConfigurator(sent)
