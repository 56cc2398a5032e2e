/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/analyse: finds mistakes in policies that are valid and applied: services without policies,
 * rules that never match, plaintext, names that do not exist. mt_analyse() serves the command
 * `analyse` and --analyse; mt_analyse_principal() lists what a caller may call. Control thread
 * only; each query computes everything again.
 *
 * Input: the table of objects; the snapshot compiled from it; and a struct mt_audit that lib/conf
 * fills while it compiles (mt_conf_set_audit()): a row for each port of each endpoint with its
 * class, labels, PeerAuthentication mode, DestinationRule and rules. It includes ports without
 * policies, which the snapshot omits, and ports where the endpoint's own sidecar decides.
 *
 * Invariants:
 * - Findings are certain. mt_an_rule_within() returns yes or "unknown", and a yes holds for every
 *   call. A condition that cannot be evaluated, or that no call has, is never within another.
 *   Exclusions of metadata in a DENY rule cover nothing, because they compare names in another
 *   case.
 * - A finding on a rule holds in every list that contains the rule: places are counted, and it is
 *   reported when the counts are equal. Of two rules that match the same calls, the later one is
 *   the redundant one.
 * - An endpoint's own sidecar may know fields that this node does not read for its protocol.
 *   Policies with dropped conditions count for nothing in such lists.
 * - A word is a typing error of another only if that other exists, has at least five letters, and
 *   one letter inside a word differs (mt_an_is_slip()): digits and single letters distinguish
 *   names. In namespaces, accounts, interfaces and hosts two letters of twelve may differ, also the
 *   last of a word, and letters of short words may be transposed (mt_an_is_near()).
 * - A missing name is an error only if all names are known: namespaces if `kube-system` exists,
 *   accounts of a namespace if its `default` exists. Otherwise it is a note.
 * - Work is bounded (MT_ANALYSE_STEPS). mt_an_may() is called before each operation of more than
 *   one step: two rules by their values, a word against all names, a document against all rows.
 *   Findings beyond the bound are omitted, and the answer's `bounded` is set. --analyse has no
 *   bound, because nothing else runs in that process.
 *
 * A new finding needs a row in findings.def, one mt_an_found(), a row of the table that
 * names_test.c compares, and a directory in tests/documents/analyse/seeded (run.py --update).
 */
#pragma once

#include "mt_audit.h"
#include "mt_objects.h"
#include "mt_snapshot.h"

#include <jansson.h>

enum mt_finding_severity {
	MT_FINDING_OPEN,     /* callers are not restricted */
	MT_FINDING_PLAIN,    /* traffic is in plaintext */
	MT_FINDING_SHADOWED, /* a rule or object never decides */
	MT_FINDING_DEAD,     /* a document has no effect, or not the intended one */
	MT_FINDING_RISK,     /* a document does less or more than it seems to */
	MT_FINDING_NOTE,     /* for information: no failure */
	MT_FINDING_SEVERITIES
};

enum mt_finding_id {
#define MT_FINDING(id, severity, meaning, remedy) MT_FINDING_ID_##id,
#include "findings.def"
#undef MT_FINDING
	MT_FINDING_IDS
};

struct mt_finding_kind {
	const char *id; /* "open_service" */
	enum mt_finding_severity severity;
	const char *meaning, *remedy; /* remedy NULL: none is needed */
};

const struct mt_finding_kind *mt_finding_kind(enum mt_finding_id id);
/* "open", ... */
const char *mt_finding_severity_str(enum mt_finding_severity s);

/*
 * Limit on the comparisons (values of rules, names, rows) for one analysis: some tenths of a
 * second, because a running node does its other work on the same thread. Checks beyond it are
 * skipped, and the result says so.
 */
#define MT_ANALYSE_STEPS UINT64_C(20000000)

struct mt_analyse_in {
	struct mt_object_table *table;	/* finished */
	const struct mt_audit *audit;	/* of the compilation */
	const struct mt_snapshot *snap; /* the result of the compilation */
	int64_t wall;			/* Unix time */
	int64_t since,
		until; /* validity of the node's certificate, Unix time; until 0: it has none */
	bool identity; /* the node has an identity */
	/* of the node, "cluster.local/ns/a/sa/b"; NULL: none, or not known */
	const char *principal;
	uint64_t steps; /* limit on comparisons; 0: MT_ANALYSE_STEPS */
};

/*
 * Returns {"found": N, "notes": M, "bounded": false, "services": [...], "findings": [{"severity",
 * "finding", "where", "object", "reason", "remedy"}]}. N is the number of findings that are not
 * notes. "bounded": some checks were skipped because of the limit. The caller owns the result.
 * NULL: no memory.
 */
json_t *mt_analyse(const struct mt_analyse_in *in);

/*
 * Returns what a caller with this principal ("cluster.local/ns/a/sa/b"; "": without a certificate)
 * may call from this address (NULL: any). {"principal", "bounded", "calls": [{"service", "port",
 * "may": "all" | "methods" | "nothing", "which", "rule"}]}. "bounded": "calls" is incomplete. The
 * caller owns the result. NULL: no memory.
 */
json_t *mt_analyse_principal(
	const struct mt_analyse_in *in, const char *principal, const struct mt_addr *from);
