"""What every test may use."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NoReturn

import pytest
from hypothesis import settings

CI = os.environ.get("CI") == "true"

# No deadline: a busy machine is not a fault. In CI the same examples every time, so that a failure
# belongs to the change that caused it.
settings.register_profile("gateway", deadline=None, derandomize=CI)
settings.load_profile("gateway")


@pytest.fixture(scope="session")
def missing() -> Callable[[str], NoReturn]:
    """Call it when a real component is not there: a skip on a laptop, a failure in CI."""

    def missing(component: str) -> NoReturn:
        if CI:
            pytest.fail(f"{component} is missing, and CI tests against the real thing")
        pytest.skip(f"{component} is missing; `make test` installs it with apt")

    return missing
