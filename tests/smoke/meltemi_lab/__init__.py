# SPDX-License-Identifier: Apache-2.0
"""Verbs for tests around the real programs: namespaces, veth, processes, the daemon, and their clean-up."""

from . import beside, dubbo, netns, pairwise, streams, two_nodes
from .check import PATIENCE, Failure, Skip, becomes, check, equal, main, within
from .lab import Lab
from .paths import BUILD, ROOT, TESTS

__all__ = ["BUILD", "Failure", "Lab", "PATIENCE", "ROOT", "Skip", "TESTS", "becomes", "beside", "check", "dubbo", "equal", "main", "netns",
           "pairwise", "streams", "two_nodes", "within"]
