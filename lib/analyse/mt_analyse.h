/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/analyse: what is wrong with policies that are right: which services are open, which rules never decide, what travels in clear
 * text, what is nobody's; and what a given caller may call. It looks at what is compiled (rules as they are judged) and at the
 * documents that it was compiled of, for their lines. What is found is certain: where a question cannot be decided nothing is
 * said. The daemon asks it for `analyse`, and for --analyse, where nothing runs. Control thread only.
 */
#pragma once

#include "mt_audit.h"
#include "mt_objects.h"
#include "mt_snapshot.h"

#include <jansson.h>

enum mt_finding_severity {
	MT_FINDING_OPEN,     /* who may call is not restricted */
	MT_FINDING_PLAIN,    /* in clear text */
	MT_FINDING_SHADOWED, /* it never decides */
	MT_FINDING_DEAD,     /* it has no effect, or not its own */
	MT_FINDING_RISK,     /* it does less, or more, than it looks */
	MT_FINDING_NOTE,     /* worth knowing: it makes nobody fail */
	MT_FINDING_SEVERITIES
};

enum mt_finding_id {
#define MT_FINDING(id, severity, meaning, remedy) MT_FINDING_ID_##id,
#include "findings.def"
#undef MT_FINDING
	MT_FINDING_IDS
};

struct mt_finding_kind {
	const char *id; /* "open-service" */
	enum mt_finding_severity severity;
	const char *meaning, *remedy; /* remedy NULL: there is nothing to do */
};

const struct mt_finding_kind *mt_finding_kind(enum mt_finding_id id);
/* "open", ... */
const char *mt_finding_severity_str(enum mt_finding_severity s);

/*
 * So many comparisons (values of rules, names, rows) one question costs at most, some tenths of a second, as a node answers between its
 * other work. What is behind that is not said, and the answer says so.
 */
#define MT_ANALYSE_STEPS UINT64_C(20000000)

struct mt_analyse_in {
	struct mt_object_table *table;	/* finished */
	const struct mt_audit *audit;	/* of compiling it */
	const struct mt_snapshot *snap; /* which came of that */
	int64_t wall;			/* seconds since 1970 */
	int64_t since,
		until; /* from when to when the node's certificate is good; until 0: it has none */
	bool identity; /* the node has one */
	const char *principal; /* of it, "cluster.local/ns/a/sa/b"; NULL: none, or not known */
	uint64_t steps;	       /* comparisons at most; 0: MT_ANALYSE_STEPS */
};

/*
 * {"found": N, "notes": M, "bounded": false, "services": [...], "findings": [{"severity", "finding", "where", "object", "reason", "remedy"}]}; N is how
 * many are more than notes; bounded: there is so much that not all was looked at. NULL: no memory.
 */
json_t *mt_analyse(const struct mt_analyse_in *in);

/*
 * What a caller of that principal ("cluster.local/ns/a/sa/b"; "": one without a certificate) may call, from that address (NULL:
 * any). {"principal", "bounded", "calls": [{"service", "port", "may": "all" | "methods" | "nothing", "which", "rule"}]}; bounded: there
 * are more of them. NULL: no memory.
 */
json_t *mt_analyse_principal(
	const struct mt_analyse_in *in, const char *principal, const struct mt_addr *from);
