"""One suite per port: what every adapter of it must do.

A suite is a class without tests' usual `Test` in its name and with an abstract fixture for the
adapter. An adapter's own test file derives from it and provides the fixture.
"""
