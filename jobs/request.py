"""The request of signed-in people, for the apps above: `people.request` has it."""

from people.request import Request, client_address, read_form

__all__ = ["Request", "client_address", "read_form"]
