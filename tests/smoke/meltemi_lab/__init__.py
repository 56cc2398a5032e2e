# SPDX-License-Identifier: Apache-2.0
"""Verbs for tests around the real programs: namespaces, veth, processes, the daemon, and their clean-up."""

from . import beside, dubbo, netns, pairwise, streams
from .check import Failure, Skip, check, equal, main, within
from .lab import Lab
from .paths import BUILD, ROOT, TESTS

__all__ = ["BUILD", "Failure", "Lab", "ROOT", "Skip", "TESTS", "beside", "check", "dubbo", "equal", "main", "netns",
           "pairwise", "streams", "within"]
