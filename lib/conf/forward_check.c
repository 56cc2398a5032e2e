/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How endpoints of forwarded ports are checked for health: by the Node's `healthCheck`, else by the
 * annotation of the ServiceEntry or Service. Without both, TCP is checked by a connection, and UDP
 * by an ICMP echo request. Failures of the latter count once the endpoint has answered a request,
 * because many hosts filter ICMP, and UDP endpoints there must not lose their flows.
 */
#include "mt_conf_forward_priv.h"

#include "mt_l4.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH	"metadata.annotations"
#define EXAMPLE "write tcp, icmp or none, or for example: tcp, interval=5s, failures=2"

/* A word of the annotation, without blanks around it. */
struct word {
	const char *p;
	size_t len;
};

static struct word next_word(const char **at)
{
	struct word w;

	*at += strspn(*at, " ");
	w = (struct word){*at, strcspn(*at, ",")};
	*at += w.len + ((*at)[w.len] == ',');
	while (w.len && w.p[w.len - 1] == ' ')
		w.len--;
	return w;
}

static bool read_kind(const struct word *w, struct mt_num *kind)
{
	for (uint32_t i = 0; mt_health_check_words[i]; i++)
		if (strlen(mt_health_check_words[i]) == w->len &&
			strncmp(mt_health_check_words[i], w->p, w->len) == 0) {
			*kind = (struct mt_num){.v = i, .set = true};
			return true;
		}
	return false;
}

/* The value after "KEY=", in `value`; false: it is another key, or too long. */
static bool value_of(const struct word *w, const char *key, char value[32])
{
	size_t n = strlen(key);

	if (w->len < n || strncmp(w->p, key, n) != 0 || w->len - n >= 32)
		return false;
	memcpy(value, w->p + n, w->len - n);
	value[w->len - n] = '\0';
	return true;
}

/* Reads "interval=..." or "failures=...", each once. */
static bool read_number(const struct word *w, struct mt_health_check_of *out)
{
	char value[32];
	uint64_t v = 0;

	if (value_of(w, "interval=", value) && !out->interval.set) {
		if (mt_duration_parse(value, &v) || v < MT_HEALTH_CHECK_INTERVAL_MIN_MS ||
			v > MT_HEALTH_CHECK_INTERVAL_MAX_MS)
			return false;
		out->interval = (struct mt_num){.v = (uint32_t)v, .set = true};
		return true;
	}
	if (!value_of(w, "failures=", value) || out->failures.set || !*value || strlen(value) > 3 ||
		strspn(value, "0123456789") != strlen(value))
		return false;
	v = strtoul(value, NULL, 10);
	out->failures = (struct mt_num){.v = (uint32_t)v, .set = true};
	return v > 0 && v <= MT_HEALTH_CHECK_FAILURES_MAX;
}

/* Reads the annotation's value; false: *bad is the word that cannot be read. */
static bool parse(const char *text, struct mt_health_check_of *out, struct word *bad)
{
	const char *at = text;

	*out = (struct mt_health_check_of){.kind.set = false};
	*bad = next_word(&at);
	if (!read_kind(bad, &out->kind))
		return false;
	while (*at) {
		*bad = next_word(&at);
		/* The kind `none` takes no numbers. */
		if (out->kind.v == MT_HEALTH_CHECK_NONE || !read_number(bad, out))
			return false;
	}
	return true;
}

void mt_b_health_check_read(struct mt_build *b, const struct mt_host *h)
{
	const struct mt_kv *kv = mt_b_annotation(h->se, MT_HEALTH_CHECK_ANNOTATION);
	struct mt_health_check_of check;
	struct word bad;

	if (!kv)
		return;
	if (!parse(kv->value, &check, &bad))
		mt_b_error(b, &h->se->meta, kv->origin.line, PATH, EXAMPLE,
			MT_HEALTH_CHECK_ANNOTATION ": \"%.*s\" is not valid here",
			(int)MT_MIN(bad.len, 64u), bad.p);
	else if (!h->forwards)
		mt_b_warn(b, &h->se->meta, kv->origin.line, PATH,
			"remove it: outlier detection of a DestinationRule ejects endpoints of "
			"terminated ports",
			MT_HEALTH_CHECK_ANNOTATION ": no port of it is forwarded");
}

struct mt_l4_check_conf mt_b_health_check(struct mt_build *b, const struct mt_unit *u)
{
	const struct mt_node_forwarding *f = mt_b_forwarding_entry(b, u->se, u->port);
	const struct mt_kv *kv = mt_b_annotation(u->se, MT_HEALTH_CHECK_ANNOTATION);
	bool tcp = u->transport == IPPROTO_TCP;
	struct mt_health_check_of of = {.kind.set = false};
	struct word bad;

	if (f && f->check)
		of = *f->check;
	else if (kv)
		(void)parse(kv->value, &of, &bad);
	return (struct mt_l4_check_conf){.kind = (uint8_t)(of.kind.set ? of.kind.v
							   : tcp       ? MT_HEALTH_CHECK_TCP
								       : MT_HEALTH_CHECK_ICMP),
		.lenient = !of.kind.set && !tcp,
		.failures = (uint8_t)(of.failures.set ? of.failures.v : MT_HEALTH_CHECK_FAILURES),
		.interval_ms = of.interval.set ? of.interval.v : MT_HEALTH_CHECK_INTERVAL_MS};
}

_Static_assert((int)MT_HEALTH_CHECK_TCP == MT_L4_CHECK_TCP &&
		       (int)MT_HEALTH_CHECK_ICMP == MT_L4_CHECK_ICMP,
	"the same kinds");

void mt_forward_unchecked(const struct mt_snapshot *s, uint64_t now)
{
	for (uint32_t i = 0; i < s->n_forwards; i++) {
		const struct mt_forward *f = &s->forwards[i];
		const struct mt_l4_row *r =
			s->l4 ? mt_l4_row(s->l4, &f->addr, f->port, f->protocol) : NULL;
		const struct mt_cluster *c = &s->clusters[f->cluster];

		for (uint32_t k = 0; r && r->check.kind == MT_L4_CHECK_NONE && k < c->n_eps; k++)
			if (mt_ep_ejected(c->eps[k].state, now))
				mt_ep_returned(c->eps[k].state, now);
	}
}
