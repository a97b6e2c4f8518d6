"""The policy that runs: rules, data classes, clauses, metrics. Checked strictly at start."""

from libs.policy.loader import PolicyError, load_policy
from libs.policy.model import OTHER, Cut, Metric, Policy
from libs.policy.terms import Terms, Version

__all__ = ["OTHER", "Cut", "Metric", "Policy", "PolicyError", "Terms", "Version", "load_policy"]
