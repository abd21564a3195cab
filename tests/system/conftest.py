"""Fixtures that several test files share; each has a cluster `pg` of its own."""

import pytest
from daemon import Daemon


@pytest.fixture
def daemon(pg, tmp_path):
    """Makes daemons and ends them."""
    made = []

    def make(*args, **options):
        made.append(Daemon(pg, tmp_path, *args, **options))
        return made[-1]

    yield make
    for d in made:
        d.close()
