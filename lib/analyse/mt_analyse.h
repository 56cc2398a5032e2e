/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/analyse: finds mistakes in valid policies: services that anybody may call, rules that never
 * decide, plaintext traffic, conditions that no caller meets. Also reports what a given caller may
 * call. It evaluates the compiled rules, and reads the documents for their lines. Every finding is
 * certain: if a question cannot be decided, nothing is reported. The daemon calls it for the
 * command `analyse`, and for --analyse without a running node. Control thread only.
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
