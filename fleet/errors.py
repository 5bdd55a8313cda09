"""The simulator's errors.

FleetError
├── RegistrationFailed   clients of the fleet could not be registered; names the problem
├── TlsUnusable          certificates that were given, or that the server issued, cannot be used
└── ScenarioUnfit        a scenario that this fleet cannot play
"""

from __future__ import annotations


class FleetError(Exception):
    """Base of every error that this package raises."""


class RegistrationFailed(FleetError):
    """Clients of the fleet could not be registered."""


class TlsUnusable(FleetError):
    """Certificates cannot be used."""


class ScenarioUnfit(FleetError):
    """The scenario cannot be played."""
