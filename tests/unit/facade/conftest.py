"""What every test of the façade has."""

import pytest

from cueline.app import App
from tests.unit.facade.serving import SETTINGS


@pytest.fixture
def app() -> App:
    return App("shop", settings=SETTINGS)
