"""Fixtures shared by all tests."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings

import offkey

# A slow machine is no failure; a temporary folder that several examples share is meant so.
settings.register_profile(
    "offkey", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
# A gate must not fail by chance: there the examples are the same every time.
settings.register_profile("gate", settings.get_profile("offkey"), derandomize=True, database=None)
settings.load_profile("gate" if os.environ.get("CI") else "offkey")


@pytest.fixture(scope="session")
def real_dir() -> Path:
    """The folder of real recordings beside the project, or a skip (a failure where they are required)."""
    folder = Path(__file__).resolve().parents[1].parent / "shared" / "real"
    if not folder.is_dir():
        reason = f"no real recordings at {folder}"
        if os.environ.get("OFFKEY_REQUIRE_REAL"):
            pytest.fail(f"{reason}, and OFFKEY_REQUIRE_REAL is set")
        pytest.skip(reason)
    return folder


@pytest.fixture
def distance() -> Iterator[ModuleType]:
    """A model from outside the package, which is registered while a test runs."""
    import plugin_model

    yield plugin_model
    offkey.recipe._KINDS.pop("distance", None)
    del sys.modules["plugin_model"]
