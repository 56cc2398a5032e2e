# SPDX-License-Identifier: Apache-2.0
"""
All jobs. The gate's are the same for each commit and each day, so that only the commit decides their results. Rotating jobs search for
faults that no commit of the day has: a run has one part of them.
"""

import os
import pathlib
import re

from . import verdict
from .job import A_CORE, A_LAB, ALL_CORES, ASAN, BESIDE, DEBUG, FUZZ, LAST, READER, ROOT, TESTS, TIMED, TSAN, Job
from .part import FIXED_SEEDS, FIXED_SHUFFLE, LONG_SEEDS

SANITIZED_SMOKE = ("dubbo_split_on_one_connection", "bad_input", "opaque_half_close", "kill_server_under_load")
SANITIZED = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=1", "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
             "LSAN_OPTIONS": f"suppressions='{TESTS}/leaks.supp':print_suppressions=0"}
DAEMON = ("app/meltemid/meltemid", "app/meltemi/meltemi")
LAB = (*DAEMON, "bench/blast/meltemi-blast", "tests/attack/flood", "tests/smoke/guest", "tests/smoke/impair", "tests/smoke/libslow_disk.so",
       "tests/interop/xds/xds_probe", "tests/interop/tls/tls_peer", "tests/interop/authz/authz_judge")
SIM, MESHSIM, TCPSCRIPT, DIFFERENTIAL = ("tests/sim/sim", "tests/meshsim/meshsim", "tests/tcpscript/run", "tests/differential/run")
CONNTRACK = "tests/conntrack/run"
KEYED = "tests/unit/keyed/keyed_mutants"
UNIT_MUTANTS = "tests/unit/mutants/unit_mutants"
GOLDEN, LOADS = "tests/golden/picture", "tests/golden/loads"
LINT = {"lint/debian": DAEMON, "lint/folders": ("lib/libmt_proxy.a",), "lint/metrics_page": DAEMON, "lint/tcp_page": (TCPSCRIPT,)}

# Labs of the rotating part: comparisons of load balancing and retries with Envoy's, retries with Java's servers, BoringSSL's test suite,
# and the CPU time of a thread, which the use of the caches by other programs of the host doubles.
ROTATING_LABS = re.compile(r"interop/(xds/test_oracle_|retries/test_dubbo|tls/test_bogo$)|smoke/control_turns_are_short$")

# The instruction counts of single operations and of forwarded packets, whether these are right, and what workers must not call. All other
# benches rotate, because they take 20 to 120 s of a core.
GATE_BENCHES = ("l4_bench", "l4_cost", "micro", "worker_trap")

# Libraries with unit tests that run threads, and a part of the names of these tests, or their suite (empty: all); several with | between.
THREADED = {"accesslog": "", "export": "", "filter": "", "identity": "read elsewhere", "jwt": "all slots", "keyed": "threads", "net": "",
            "observe": "none is torn", "port": "guests", "proxy": "filters|threads", "tls": "threads", "upstream": "", "worker": ""}

# Unit tests that run with the plain build: they count basic blocks or memory, which a sanitizer changes, search freed memory for
# secrets, compare texts, switch stacks, or test tools. All others run with the sanitized build, and of these tests a seventh does too.
PLAIN = re.compile(r"(steps|fuzz_steps_\w+|source|identity|keyed_schedules|rights|golden|enforced|changes|replay|blast|blast_loopback|"
                   r"bench_stripped)$")

# Libraries with unit tests that report the outcomes they have reached.
OUTCOMES = ("buf", "dns", "filter", "l4", "net", "port", "proxy", "tcp", "tls", "upstream", "worker")

# Lints of what these tests and the fixed seeds have reached.
NOTED = ("lint/outcome_rows", "lint/state_changes")

# Tests that meson leaves out if it finds no valgrind or no libpcap.
BY_PACKAGE = {"libpcap-dev": ("unit/replay",), "valgrind": tuple(f"bench/{name}" for name in (
    "documents_cost", "flood_cost", "forwarding_cost", "l4_cost", "log_cost", "metrics_cost", "micro", "scale", "stripped", "tracing_cost", "watch_cost"))}

QUICK_SEEDS = range(1, 201)
# With --long: a million calls to servers that send replies to no call, or to the wrong one.
LONG_REPLIES = ("--scenario", "proxy_replies", "--seeds", "1-1000", "--jobs", "all")
# Protocols that codec files describe: one with shared connections, and a serial one.
CODEC_FILES = ("--codec-file", TESTS / "sim/varints.yaml", "--codec-file", TESTS / "sim/lines.yaml")
LONG_CODEC_FILES = (*CODEC_FILES, "--seeds", "1-5000", "--jobs", "all")
SEEDS_OF_A_MUTANT = "1-2000"
# Mutants that seeds of all scenarios detect late or never, and the arguments that detect them.
MUTANT_ARGS = {
    # These only make TCP slow or wasteful; this scenario has bounds for goodput and retransmissions.
    **dict.fromkeys(("no_reorder_window", "dsack_ignored", "undo_missing"), ("--scenario", "goodput_late", "--seeds", "1-3")),
    # Bytes queued after a long reply, and lost window updates, are rare in other scenarios.
    "held_not_returned": ("--scenario", "proxy_mixed", "--seeds", "1-100"),
    "budget_not_returned": ("--scenario", "retries_storm", "--seeds", "1-20"),
    **dict.fromkeys(("oneway_retried", "retained_leaked"), ("--scenario", "retries_resets", "--seeds", "1-40")),
    "try_time_ignored": ("--scenario", "retries_silent", "--seeds", "1-5"),
    **dict.fromkeys(("same_host_again", "message_kept"), ("--scenario", "retries_resets", "--seeds", "1-20")),
    "attempt_change_kept": ("--scenario", "retries_asked", "--seeds", "1-5"),
    "doubt_repeated": ("--scenario", "retries_silent", "--seeds", "1-40"),
    "rejected_forwarded": ("--scenario", "retries_mixed", "--seeds", "1-20"),
    # Codec files that change a message are drawn only by name.
    **dict.fromkeys(("table_length_stale", "table_sum_stale", "table_id_not_restored"), (*CODEC_FILES, "--seeds", "1-100")),
    "no_probe": ("--scenario", "proxy_mixed", "--seeds", "101-300"),
    **dict.fromkeys(("entry_lost", "ending_of_another"), ("--log", "--seeds", "1-100")),
    "deny_on_fail_ignored": ("--scenario", "proxy_global_limit", "--seeds", "1-8"),
    "undrawn_traced": ("--tracing", "--seeds", "1-100"),
}
# Broken rules of lib/tcp that the comparison with the kernel's TCP must detect.
KERNEL_BREAKS = """
    paws_off paws_of_rst ts_recent_of_any ts_missing_taken rst_in_window_believed syn_resets outside_unanswered text_after_fin
    fin_ack_delayed closing_skipped close_wait_skipped abort_silent options_after_end options_bad_taken scale_unlimited
    half_rst_anywhere half_bad_ack tw_rst tw_any_syn refused_without_ack syn_sent_any_ack isn_stands_still dup_ack_of_any
    sack_oldest_first checksum_not_verified ack_of_unsent mss_without_options window_stays_shut window_taken_back leaked_mbuf
    overlap_not_trimmed reset_out_of_window deaf_half_closed early_eof timestamp_unchecked""".split()


def _suite(test):
    return test["suite"][0].split(":")[-1] if test["suite"] else "test"


def _meson(test, build=DEBUG, prefix="", env=None):
    """The job of a meson test, with this build directory."""
    return Job(f"{prefix}{_suite(test)}/{test['name']}", [word.replace(str(DEBUG), str(build)) for word in test["cmd"]],
               test["timeout"] * (2 if build == ASAN else 1), {**(env or {}), **test["env"]}, cwd=build, build=build,
               targets=test["files"])


def with_absent(known):
    """meson's tests, and in the place of each one that it leaves out because a package is missing one that is skipped."""
    names = {f"{_suite(test)}/{test['name']}" for test in known}
    absent = [(package, name) for package, tests in BY_PACKAGE.items() for name in tests if name not in names]
    return known + [{"suite": [name.split("/")[0]], "name": name.split("/")[1], "timeout": 60, "env": {}, "files": (), "cmd": [
        "sh", "-c", f"echo 'SKIPPED: {package} was not installed when {DEBUG.name} was made: install it, and remove {DEBUG.name}'; exit {verdict.SKIPPED}"]}
        for package, name in absent]


def _units(known):
    units = [test for test in known if _suite(test) == "unit"]
    return [_meson(test) if PLAIN.match(test["name"]) else _meson(test, ASAN, env=SANITIZED) for test in units]


def _plain_units_sanitized(known, part):
    plain = [test for test in known if _suite(test) == "unit" and PLAIN.match(test["name"])]
    return [_meson(test, ASAN, "asan/", SANITIZED) for test in part.of(plain)]


def _threads():
    return [Job("/".join(["tsan", room] + [which] * ("|" in parts)), [TSAN / f"tests/unit/unit_{room}", which], 900,
                {"TSAN_OPTIONS": "halt_on_error=1:exitcode=66"}, build=TSAN, targets=(f"tests/unit/unit_{room}",))
            for room, parts in THREADED.items() for which in parts.split("|")]


def _a_range(seeds):
    return f"{seeds[0]}-{seeds[-1]}"


def _seeds(name, seeds, seconds=900):
    argv = [DEBUG / SIM, "--seeds", _a_range(seeds), "--jobs", "all", "--keep-going"]
    return Job(f"sim/{name}", argv, seconds, targets=(SIM,), takes=ALL_CORES, seeds=seeds)


def _scenarios(known):
    return [test for test in known if _suite(test) == "sim"]


def _simulators(known, whole):
    """
    Scenarios and seeds in the plain build. The sanitized build quarantines freed slots, and so hides faults that only immediate
    reuse of a slot shows.
    """
    fixed = LONG_SEEDS if whole else FIXED_SEEDS
    jobs = [*map(_meson, _scenarios(known)), _seeds("seeds", fixed, seconds=5400 if whole else 900)]
    # A fresh seed that failed is listed, and runs with each commit until the fault is repaired.
    return jobs + [_seeds(f"listed-{seed}", range(seed, seed + 1)) for seed in verdict.listed_seeds() if seed not in fixed]


def _rotating_simulators(known, part):
    """Fresh seeds, and scenarios and seeds in the sanitized build."""
    jobs = [_meson(test, ASAN, "asan/", SANITIZED) for test in part.of(_scenarios(known))]
    jobs.append(Job("asan/sim/seeds", [ASAN / SIM, "--seeds", _a_range(part.sanitized_seeds())], 900, SANITIZED, build=ASAN, targets=(SIM,)))
    jobs.append(_seeds("fresh", part.fresh_seeds()))
    jobs += part.of([Job("sim/entries", [DEBUG / SIM, "--log", "--tracing", "--seeds", "1-500", "--jobs", "all"], 900, targets=(SIM,), takes=ALL_CORES)])
    if part.whole:
        jobs.append(Job("sim/replies", [DEBUG / SIM, *LONG_REPLIES], 1800, targets=(SIM,), takes=ALL_CORES))
        jobs.append(Job("sim/codec_files_long", [DEBUG / SIM, *LONG_CODEC_FILES], 3600, targets=(SIM,), takes=ALL_CORES))
    return jobs


def _rows(name, macro):
    """Names of the deliberate bugs in a table of lib/base."""
    return re.findall(rf"^{macro}\((\w+)", (ROOT / "lib/base" / name).read_text(), re.M)


def _shared_with_scripts():
    """The simulator's mutants that a packet script with one connection can detect."""
    table = re.search(r"shared\[\] = \{(.*?)\}", (TESTS / "tcpscript/breaks.c").read_text(), re.S)
    return re.findall(r'"(\w+)"', table.group(1))


def _mutants(part):
    """Deliberate bugs, compiled in: each must make a check fail."""
    jobs = [Job(f"mutants/sim/{name}", [DEBUG / SIM, "--mutant", name, *MUTANT_ARGS.get(name, ("--seeds", SEEDS_OF_A_MUTANT))], 900,
                targets=(SIM,)) for name in part.of(_rows("mutants.def", "MT_MUTANT"))]
    jobs += [Job(f"mutants/meshsim/{name}", [DEBUG / MESHSIM, "--mutant", name, "--seeds", "1-400"], 300, targets=(MESHSIM,))
             for name in part.of(_rows("mutants_xds.def", "MT_XDS_MUTANT"))]
    jobs += [Job(f"mutants/keyed/{name}", [DEBUG / KEYED, "--mutant", name], 120, targets=(KEYED,))
             for name in part.of(_rows("mutants_keyed.def", "MT_KEYED_MUTANT"))]
    jobs += [Job(f"mutants/unit/{name}", [DEBUG / UNIT_MUTANTS, "--mutant", name], 120, targets=(UNIT_MUTANTS,))
             for name in part.of(_rows("mutants_unit.def", "MT_UNIT_MUTANT"))]
    jobs += [Job(f"mutants/tcpscript/{name}", [DEBUG / TCPSCRIPT, "--break", name], 60, targets=(TCPSCRIPT,))
             for name in part.of([*_rows("breaks.def", "MT_BREAK"), *_shared_with_scripts()])]
    for job in jobs:
        job.must_fail = True
    return jobs


def _differential(name, *argv):
    """Compares lib/tcp with the kernel's TCP."""
    return Job(f"differential/{name}", [DEBUG / DIFFERENTIAL, *argv], 900, root=True, targets=(DIFFERENTIAL,))


def _broken_differential():
    """The comparison with rules of lib/tcp broken, each of which it must detect. The kernel runs once for all."""
    return _differential("broken", "--break", ",".join(KERNEL_BREAKS))


def _conntrack(whole):
    """Compares the states of forwarded TCP flows with the kernel's connection tracking."""
    seeds = "1-200000" if whole else "1-10000"
    return Job("conntrack/seeds", [DEBUG / CONNTRACK, "--seeds", seeds], 900, root=True, targets=(CONNTRACK,))


def _fuzzers(known, part):
    """Fuzzers of this part, one minute each, from their corpora; tests/fuzz/run.py leaves findings in the build directory."""
    replayers = [pathlib.Path(test["cmd"][0]).relative_to(DEBUG) for test in known if test["name"].startswith("fuzz_")]
    programs = [path.with_name(path.name.removesuffix("_replay")) for path in part.of(sorted(replayers))]
    return [Job(f"fuzz/{path.name.removeprefix('fuzz_')}", [TESTS / "fuzz/run.py", FUZZ, path.name.removeprefix("fuzz_"),
                                                           "--seed", str(part.block)], 600,
                build=FUZZ, targets=(str(path), f"{path}_replay"), drawn=True) for path in programs]


def _benches(known):
    """Instruction counts and memory."""
    jobs = [_meson(test) for test in known if _suite(test) == "bench"]
    for job in jobs:
        # These count instructions, or what workers call, in programs without time-outs; the others measure time, or run workers against
        # peers in real time.
        job.stage = BESIDE if job.name in ("bench/micro", "bench/documents_cost", "bench/l4_cost", "bench/worker_trap") else LAST
    return jobs


def _of_the_gate(bench):
    return bench.name.removeprefix("bench/") in GATE_BENCHES


def _scripts(folder, pattern, seconds, env, root=True, build=DEBUG, targets=LAB, prefix=""):
    files = sorted(p for p in folder.glob(pattern) if p.is_file())
    found = [p for p in files if os.access(p, os.X_OK)]
    for p in files:
        if p not in found and p.read_bytes()[:2] == b"#!":  # for example unpacked without its mode: no test may disappear because of that
            raise SystemExit(f"{p} is a program that cannot be executed: chmod +x, or a file system that is not mounted noexec")
    out = []
    for p in found:
        name = f"{p.parent.relative_to(TESTS)}/{p.stem}"
        stage = TIMED if name in verdict.WALL_CLOCK and not prefix else BESIDE
        out.append(Job(prefix + name, ["/usr/bin/python3", p] if p.suffix == ".py" else [p], seconds, env, root, build=build,
                       targets=targets, takes=A_LAB if root else A_CORE, stage=stage))
    return out


def _labs(whole):
    """All labs, with those of ROTATING_LABS."""
    longer = {"MELTEMI_LONG": "1"} if whole else {}
    debug, asan = {"MELTEMI_BUILD": str(DEBUG), **longer}, {"MELTEMI_BUILD": str(ASAN), "MELTEMI_SLOW": "1"}
    jobs = _scripts(TESTS / "smoke", "*.py", 1200 if whole else 600, debug)
    jobs += _scripts(TESTS / "attack", "*.py", 900 if whole else 300, debug)
    for name in ("*",) if whole else SANITIZED_SMOKE:
        found = _scripts(TESTS / "smoke", f"{name}.py", 600, asan, build=ASAN, prefix="asan/")
        jobs += [job for job in found if job.name.removeprefix("asan/") not in verdict.WALL_CLOCK]  # times of the sanitized build mean nothing
    if whole:
        jobs += _scripts(TESTS / "interop", "*/long_*", 1500, debug)
    return jobs + _scripts(TESTS / "interop", "*/test_*", 600, debug)


def _rotating(lab):
    return bool(ROTATING_LABS.match(lab.name))


def _documents():
    debug, folder = {"MELTEMI_BUILD": str(DEBUG)}, TESTS / "documents"
    jobs = _scripts(folder, "*", 300, debug, root=False, targets=DAEMON)
    jobs += _scripts(folder / "real", "check.py", 60, debug, root=False, targets=())
    for name in ("real", "analyse"):
        jobs += _scripts(folder / name, "run.py", 300, debug, root=False, targets=DAEMON)
    jobs += _scripts(TESTS / "codecfiles", "*.py", 120, debug, root=False, targets=("tests/unit/unit_codecfile", DAEMON[1]))
    return jobs + _scripts(folder / "istiod", "run.py", 300, debug, root=False, targets=(GOLDEN,))


def _shuffled(orders, sets, seed, suffix="", whole=False):
    """Documents in random orders, and random mixtures of documents with mistakes."""
    folder, debug, asan = TESTS / "documents/real", {"MELTEMI_BUILD": str(DEBUG)}, {"MELTEMI_BUILD": str(ASAN)}
    jobs = _scripts(folder, "orders.py", 600, debug, root=False, targets=(*DAEMON, GOLDEN))
    jobs += _scripts(folder, "mixtures.py", 7200 if whole else 600, asan, root=False, build=ASAN, targets=(DAEMON[0], LOADS))
    for job, more in zip(jobs, (["--orders", orders, "--seed", seed * 100], ["--sets", sets, "--seed", seed])):
        job.argv += map(str, more)
        job.name += suffix
    return jobs


def _rotating_documents(part):
    jobs = _shuffled(*((20, 60000) if part.whole else (6, 1200)), part.block, "_fresh", part.whole)
    for job in jobs:
        job.drawn = job.name.endswith("mixtures_fresh")
    return jobs


def _lint(rooms):
    jobs = _scripts(TESTS / "lint", "*", 300, {"MELTEMI_BUILD": str(DEBUG)}, root=False)
    for job in jobs:
        job.targets = rooms if job.name == "lint/style" else LINT.get(job.name, ())
    return jobs + _scripts(TESTS / "running", "selftest.py", 60, {}, root=False, targets=())


def note_outcomes(jobs, folder):
    """
    Lets the unit tests, packet scripts and fixed seeds of this run record what they reach for the lints of NOTED, which run after the
    second tries: a test that failed first has recorded only a part.
    """
    sources = ["sim/seeds", "unit/tcpscript", *(f"unit/{room}" for room in OUTCOMES)]
    here = {job.name: job for job in jobs}
    if not here.keys() >= {*NOTED, *sources}:
        return
    for name in sources:
        here[name].env = {**here[name].env, "MELTEMI_OUTCOMES": str(pathlib.Path(folder, name.replace("/", "_")))}
    for lint in (here[name] for name in NOTED):
        lint.env = {**lint.env, "MELTEMI_OUTCOMES_OF": str(folder)}
        lint.stage = READER


def _quick(jobs):
    """The jobs of --quick, three minutes on two cores: no corpora of fuzzers, and no tests of the load generator."""
    return [job for job in jobs if not re.match(r"unit/(fuzz_|blast)", job.name)] + [_seeds("seeds", QUICK_SEEDS)]


def gate(known, rooms, whole=False):
    """The jobs that decide about a commit; whole: with more seeds, and longer."""
    return [*_units(known), *_documents(), *_lint(rooms), *_simulators(known, whole), *_threads(), *_shuffled(6, 1200, FIXED_SHUFFLE),
            _differential("seeds", "--seeds", "1-100000" if whole else "1-10000"), _conntrack(whole),
            *filter(_of_the_gate, _benches(known)), *(lab for lab in _labs(whole) if not _rotating(lab))]


def quick(known, rooms):
    return _quick(_units(known) + _documents() + _lint(rooms))


def rotating(known, part):
    """The jobs of one part, or of all."""
    benches = [job for job in _benches(known) if not _of_the_gate(job)]
    labs = [lab for lab in _labs(part.whole) if _rotating(lab)]
    return [*_plain_units_sanitized(known, part), *_rotating_simulators(known, part), *_mutants(part), _broken_differential(),
            *_fuzzers(known, part), *part.of(benches), *part.of(labs), *_rotating_documents(part)]
