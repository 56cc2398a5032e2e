# SPDX-License-Identifier: Apache-2.0
"""Jobs beside each other, as many as there is room for; in their order, but that a light one may pass one that waits."""

import queue
import threading
import time

BEAT = 60  # seconds without a word from a test, after which the runner says what it waits for


def run(jobs, capacity, work, done):
    """work(job) in a thread each; done(job, its result, seconds) in this one, as they end."""
    waiting, running, ended = list(jobs), {}, queue.Queue()

    def body(job):
        began = time.monotonic()
        try:
            ended.put((job, work(job), time.monotonic() - began))
        except BaseException as error:  # the runner's own fault: it must not wait for ever
            ended.put((job, (1, f"the runner failed: {error!r}"), time.monotonic() - began))

    def start():
        free = capacity - sum(running.values())
        for job in list(waiting):
            weight = min(job.weight, capacity)
            if weight > free:
                if weight == capacity:
                    return  # it waits for all the room, and would wait for ever if others went before it
                continue
            waiting.remove(job)
            running[job.name] = weight
            free -= weight
            threading.Thread(target=body, args=(job,), daemon=True).start()

    while waiting or running:
        start()
        try:
            job, result, seconds = ended.get(timeout=BEAT)
        except queue.Empty:
            print(f"      ... {', '.join(running)}", flush=True)
            continue
        del running[job.name]
        done(job, result, seconds)
