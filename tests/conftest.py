"""What pytest has to know before it imports any test."""

import pytest

# Their assertions explain themselves as those of test modules do.
pytest.register_assert_rewrite("tests.contracts", "tests.harness")
