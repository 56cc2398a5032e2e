# SPDX-License-Identifier: Apache-2.0
"""
Runs jobs in parallel and in their order, within two limits: cores for jobs that compute, and a number of labs, which mostly wait.
A job starts after the jobs in its `after` have ended.
"""

import queue
import threading
import time

from .job import A_CORE, A_LAB, ALL_CORES

FAULT = 125  # exit status of a job that the runner itself failed to run
BEAT = 60  # seconds without a result, after which the runner prints what is running


class _Room:
    """The free resources of the machine."""

    def __init__(self, cores, labs):
        self.cores, self.free = cores, {A_CORE: cores, A_LAB: labs}

    def _need(self, job):
        return (A_LAB, 1) if job.takes == A_LAB else (A_CORE, self.cores if job.takes == ALL_CORES else 1)

    def take(self, job):
        kind, n = self._need(job)
        if self.free[kind] < n:
            return False
        self.free[kind] -= n
        return True

    def give_back(self, job):
        kind, n = self._need(job)
        self.free[kind] += n


def _start_what_fits(waiting, running, room, start):
    names = {job.name for job in waiting} | set(running)
    cores_promised = False
    for job in list(waiting):
        if not names.isdisjoint(job.after):
            continue
        if cores_promised and job.takes != A_LAB:
            continue
        if not room.take(job):
            cores_promised |= job.takes == ALL_CORES  # otherwise jobs of one core could overtake it for ever
            continue
        waiting.remove(job)
        running[job.name] = job
        start(job)


def run(jobs, cores, labs, work, done):
    """Calls work(job) in a thread for each job, and done(job, result, seconds) in this thread; False from done stops the run."""
    waiting, running, ended = list(jobs), {}, queue.Queue()
    room = _Room(cores, labs)

    def body(job):
        began = time.monotonic()
        try:
            result = work(job)
        except BaseException as error:  # otherwise a fault of the runner itself would make it wait for ever
            result = (FAULT, f"the runner failed: {error!r}", 0)
        ended.put((job, result, time.monotonic() - began))

    def start(job):
        threading.Thread(target=body, args=(job,), daemon=True).start()

    while waiting or running:
        _start_what_fits(waiting, running, room, start)
        if not running:
            raise RuntimeError(f"jobs wait for each other: {', '.join(job.name for job in waiting)}")
        try:
            job, result, seconds = ended.get(timeout=BEAT)
        except queue.Empty:
            print(f"      ... {', '.join(running)}", flush=True)
            continue
        del running[job.name]
        room.give_back(job)
        if not done(job, result, seconds):
            waiting.clear()
