# SPDX-License-Identifier: Apache-2.0
"""What tests/runner.py does its work with: jobs, builds, processes, the pool, verdicts."""
