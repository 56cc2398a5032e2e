/* SPDX-License-Identifier: Apache-2.0 */
/* Resources as JSON texts, mapped, and what came of them in one line each. */
#pragma once

#include "suites.h"

#include "mt_pb_json.h"
#include "mt_xds_map.h"

struct mapped {
	struct mt_xds_mapped m; /* all zero: refused */
	int rc;
	struct mt_err why;
	struct mt_pb_arena arena; /* of the body */
	Xds__Any *body;
};

/* The resource in an Any, as a server sends it. */
Xds__Any *any_of_text(struct mt_pb_arena *a, enum mt_xds_type type, const char *text);
/* Single quotes in the text stand for double ones. */
struct mapped map_text(enum mt_xds_type type, const char *text);
void unmap(struct mapped *m);

/* The rules of a list: "NAME: KEY OP VALUE, ... -> CLUSTER=WEIGHT ... | ...". In a static buffer. */
const char *rules_str(const struct mt_rule_list *list);
const char *conds_str(const struct mt_rule_match *match);
/* "EDS outbound|80||a @server 5s; ..." */
const char *refs_str(const struct mapped *m);
/* "field: why" of every ignored field, one a line. */
const char *ignored_str(const struct mapped *m);
/* Puts `body` in place of the %s of a format; for texts inside of texts. */
const char *in_text(const char *format, const char *body);
