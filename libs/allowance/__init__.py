"""What accounts may use, for those who meter it: decided from memory, of units that billing granted ahead."""

from libs.allowance.allowances import API_OPERATIONS, SENDS, UNSAID, Account, Allowances, Limits
from libs.allowance.peers import BillingGranter, PlannedRoom, open_allowances

__all__ = [
    "API_OPERATIONS",
    "SENDS",
    "UNSAID",
    "Account",
    "Allowances",
    "BillingGranter",
    "Limits",
    "PlannedRoom",
    "open_allowances",
]
