"""The policy that runs: what may be recorded and released, in policy.yaml, checked strictly at start."""

from libs.policy.loader import PolicyError, load_policy
from libs.policy.model import OTHER, Cut, Metric, Policy

__all__ = ["OTHER", "Cut", "Metric", "Policy", "PolicyError", "load_policy"]
