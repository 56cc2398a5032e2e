# SPDX-License-Identifier: Apache-2.0
"""Compiles sets of documents by tests/golden/loads, which does many in one process."""

import concurrent.futures
import json
import os
import queue
import subprocess
import tempfile


class Process:
    def __init__(self, program):
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors)

    def ask(self, records):
        """Its answer, or a text: it has ended."""
        try:
            self.process.stdin.write(records)
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        line = self.process.stdout.readline()
        return json.loads(line) if line else f"exit status {self.end()}: {self.words()}"

    def words(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")[-2000:]

    def end(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.stdout.close()
        return self.process.wait()


def records(documents, mesh, identity):
    """Each document is one line, so that no message and no origin depends on how long another field is."""
    out = [b"start i\n" if identity else b"start -\n"]
    for word, item in [*((b"text -", document) for document in documents), *([(b"mesh", mesh)] if mesh is not None else [])]:
        text = json.dumps(item).encode()
        out += [b"%s %d\n" % (word, len(text)), text]
    return b"".join([*out, b"show\n"])


def has_identity(one):
    return one.startswith(b"start i")


def answers(program, sets, jobs=os.cpu_count() or 1):
    """
    {records: answer} of these, and words on a process that did not end well. Each process makes an identity of its own, so the sets
    that have one go to the same process.
    """
    sets = list(dict.fromkeys(sets))
    alike, others = [one for one in sets if has_identity(one)], [one for one in sets if not has_identity(one)]
    out, wrong = _answers(program, others, jobs)
    first, also_wrong = _answers(program, alike, 1)
    return out | first, wrong + also_wrong


def _answers(program, sets, jobs):
    idle, wrong = queue.SimpleQueue(), []
    for _ in range(jobs):
        idle.put(None)

    def ask(one):
        process, answer = idle.get(), ""
        try:
            process = process or Process(program)
            answer = process.ask(one)
        finally:
            idle.put(None if isinstance(answer, str) else process)
        return answer

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        out = dict(zip(sets, pool.map(ask, sets)))
    for _ in range(jobs):
        process = idle.get()
        if process and process.end():
            wrong.append(process.words())
    return out, wrong
