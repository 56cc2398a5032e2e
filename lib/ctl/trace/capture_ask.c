/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parses the arguments of `capture start`: [packets|messages [client|endpoint]] [EXPRESSION] [count
 * N] [seconds N] [snaplen N]
 */
#include "mt_ctl_capture_priv.h"
#include "names.h"

#include <errno.h>
#include <string.h>

#define COUNT	    10000
#define COUNT_MAX   10000000
#define SECONDS	    60
#define SECONDS_MAX 3600
#define SNAP	    4096 /* bytes of a message, by default */

int mt_ctl_take_number(const struct mt_request *r, uint32_t *n, const char *word, uint64_t max,
	uint64_t *value, struct mt_err *e)
{
	const char *text;
	char *rest;
	unsigned long long v;

	if (*n > 0 && strcmp(r->args[*n - 1], word) == 0)
		return mt_err(e, -EINVAL, "%s: how many? 1 to %llu", word, (unsigned long long)max);
	if (*n < 2 || strcmp(r->args[*n - 2], word) != 0)
		return 1;
	text = r->args[*n - 1];
	v = strtoull(text, &rest, 10);
	if (*text < '0' || *text > '9' || *rest || v < 1 || v > max)
		return mt_err(e, -EINVAL, "%s: `%s` is not a number from 1 to %llu", word, text,
			(unsigned long long)max);
	*value = v;
	*n -= 2;
	return 0;
}

static int take_bounds(struct mt_ctl_capture_asked *a, const struct mt_request *r, uint32_t *n,
	uint64_t *snap, uint64_t snap_max, struct mt_err *e)
{
	int rc;

	do {
		rc = mt_ctl_take_number(r, n, "count", COUNT_MAX, &a->count, e);
		if (rc == 1)
			rc = mt_ctl_take_number(r, n, "seconds", SECONDS_MAX, &a->seconds, e);
		if (rc == 1)
			rc = mt_ctl_take_number(r, n, "snaplen", snap_max, snap, e);
	} while (rc == 0);
	return rc < 0 ? rc : 0;
}

/* Sets what is captured; returns the number of words used. */
static uint32_t take_what(struct mt_ctl_capture_asked *a, const struct mt_request *r)
{
	a->what = MT_CAPTURE_PACKETS;
	if (r->n_args == 0)
		return 0;
	if (strcmp(r->args[0], "messages") != 0)
		return strcmp(r->args[0], "packets") == 0;
	a->what = MT_CAPTURE_CLIENT | MT_CAPTURE_ENDPOINT;
	if (r->n_args == 1)
		return 1;
	if (strcmp(r->args[1], "client") == 0)
		a->what = MT_CAPTURE_CLIENT;
	else if (strcmp(r->args[1], "endpoint") == 0)
		a->what = MT_CAPTURE_ENDPOINT;
	return a->what == (MT_CAPTURE_CLIENT | MT_CAPTURE_ENDPOINT) ? 1 : 2;
}

static int compile(struct mt_ctl_capture_asked *a, bool packets, struct mt_err *e)
{
	struct mt_expr other;
	struct mt_err no;
	int rc = mt_ctl_expr(
		&a->x, a->expr, packets ? MT_TRACE_PACKET_FIELDS : MT_TRACE_EXCHANGE_FIELDS, e);

	if (rc == 0 || !packets || mt_ctl_expr(&other, a->expr, MT_TRACE_EXCHANGE_FIELDS, &no) < 0)
		return rc;
	return mt_err(e, rc,
		"a single packet does not have this field; `capture messages %s` selects by the "
		"fields of exchanges",
		a->expr);
}

int mt_ctl_capture_ask(struct mt_ctl_capture_asked *a, const struct mt_request *r, struct mt_err *e)
{
	uint32_t first = take_what(a, r), n = r->n_args;
	bool packets = a->what == MT_CAPTURE_PACKETS;
	uint64_t snap = packets ? MT_CAPTURE_SNAP : SNAP;
	int rc;

	a->count = COUNT;
	a->seconds = SECONDS;
	rc = take_bounds(a, r, &n, &snap, packets ? MT_CAPTURE_SNAP : MT_CAPTURE_SNAP_MESSAGE, e);
	if (rc < 0)
		return rc;
	a->snap = (uint32_t)snap;
	n = MT_MAX(n, first);
	mt_ctl_join_words(r->args + first, n - first, a->expr, sizeof(a->expr));
	return compile(a, packets, e);
}

void mt_capture_offer(struct mt_ctl *c, const struct mt_request *r, struct mt_offers *o)
{
	bool messages = r->n_args && strcmp(r->args[0], "messages") == 0;

	if (r->n_args == 0) {
		mt_offer(o, "packets", "as ports receive and send them; the default");
		mt_offer(o, "messages", "decoded, of exchanges that ended");
	}
	if (messages && r->n_args == 1) {
		mt_offer(o, "client", "only the client's side, before the filters");
		mt_offer(o, "endpoint", "only the endpoint's side, after the filters");
	}
	mt_offer_expression(c, messages ? MT_TRACE_EXCHANGE_FIELDS : MT_TRACE_PACKET_FIELDS, o);
	mt_offer(o, "count", "at the end: records, default 10000");
	mt_offer(o, "seconds", "at the end: default 60");
	mt_offer(o, "snaplen", "at the end: bytes of each");
}
