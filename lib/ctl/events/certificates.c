/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates that should have been renewed by now: those of the node's identities from files and
 * SDS agents, and those that Gateways and DestinationRules name, with their revocation lists. Those
 * of peers are seen only in handshakes.
 */
#include "mt_ctl_events_priv.h"

#include "mt_cert.h"
#include "mt_conf_certificates.h"

#include <stdio.h>
#include <string.h>

#define LOOK (60 * MT_SEC)

enum mt_cert_age mt_cert_age(int64_t not_before, int64_t not_after, int64_t left)
{
	int64_t life = not_after - not_before;

	if (left <= 0)
		return MT_CERT_OVER;
	if (left < life / 10)
		return MT_CERT_TENTH;
	/* Common issuers renew at a third exactly; the files follow within minutes. */
	return left < life / 3 - life / 100 ? MT_CERT_THIRD : MT_CERT_FRESH;
}

enum mt_edge mt_cert_step(
	struct mt_cert_look *l, int64_t not_before, int64_t not_after, int64_t left)
{
	enum mt_cert_age age = mt_cert_age(not_before, not_after, left), was = l->age;
	bool other = l->not_before != not_before || l->not_after != not_after;

	if (l->list && age == MT_CERT_THIRD)
		age = MT_CERT_FRESH;
	l->not_before = not_before;
	l->not_after = not_after;
	l->age = age;
	if (age > MT_CERT_FRESH && (other || age > was))
		return MT_EDGE_STARTS;
	return was > MT_CERT_FRESH && age == MT_CERT_FRESH ? MT_EDGE_ENDS : MT_EDGE_NONE;
}

/* ---- the log -------------------------------------------------------------------------------- */

static const char *noun(const struct mt_cert_look *l)
{
	return l->list ? "" : "certificate ";
}

static void log_late(const struct mt_cert_look *l, int64_t left)
{
	char words[64];

	mt_span_words(left, words, sizeof(words));
	if (l->age == MT_CERT_OVER)
		mt_log(MT_LOG_WARN, "config", "%s%s expired %s ago and was not renewed: %s",
			noun(l), l->name, words,
			l->list ? "certificates of its authority are refused" : "peers refuse it");
	else
		mt_log(MT_LOG_WARN, "config",
			"%s%s expires in %s, less than a %s of its lifetime, and was not renewed",
			noun(l), l->name, words, l->age == MT_CERT_TENTH ? "tenth" : "third");
}

static struct mt_cert_look *find(struct mt_events *e, const char *name, size_t len)
{
	struct mt_cert_look *l = calloc(1, sizeof(*l) + len + 1), *known;

	if (!l)
		return NULL;
	memcpy(l->name, name, len);
	known = mt_strmap_get(&e->certificates, l->name);
	if (!known && mt_strmap_put(&e->certificates, l->name, l, NULL) == 0)
		return l;
	free(l);
	return known;
}

static void look(
	struct mt_ctl *c, struct mt_cert_look *l, bool own, int64_t not_before, int64_t not_after)
{
	int64_t left = mt_ctl_until(c, not_after);
	char words[64];

	/* With several roots it appears several times. */
	if (!l || l->still)
		return;
	l->still = true;
	l->own = own;
	switch (mt_cert_step(l, not_before, not_after, left)) {
	case MT_EDGE_STARTS:
		log_late(l, left);
		break;
	case MT_EDGE_ENDS:
		mt_log(MT_LOG_INFO, "config", "%s%s renewed: it expires in %s", noun(l), l->name,
			mt_span_words(left, words, sizeof(words)));
		break;
	case MT_EDGE_NONE:
		break;
	}
}

/* ---- all of them ---------------------------------------------------------------------------- */

static void look_at_identities(struct mt_ctl *c)
{
	struct mt_ctl_identity who;

	for (uint32_t i = 0; mt_ctl_identity_at(c, i, &who); i++) {
		char name[512];

		/* That of a source is renewed by this node itself, or by the source. */
		if (!who.credential || !who.directory || !who.credential->not_after)
			continue;
		snprintf(name, sizeof(name), "of the identity in %s", who.from);
		look(c, find(c->events, name, strlen(name)), true, who.credential->not_before,
			who.credential->not_after);
	}
}

static void look_at_lists(struct mt_ctl *c)
{
	struct mt_conf_certificate x;
	uint32_t pos = 0;

	while (c->env.conf && mt_conf_revocations_next(c->env.conf, &pos, &x)) {
		struct mt_cert_look *l;
		char name[512];

		snprintf(name, sizeof(name), "revocation list of %.*s", (int)MT_MIN(x.len, 400),
			x.name);
		l = find(c->events, name, strlen(name));
		if (l)
			l->list = true;
		look(c, l, false, x.not_before, x.not_after);
	}
}

static void forget(struct mt_events *e, bool all)
{
	struct mt_cert_look *l;
	uint32_t pos = 0;

	while ((l = mt_strmap_next(&e->certificates, &pos, NULL)) != NULL) {
		if (l->still && !all)
			continue;
		mt_strmap_del(&e->certificates, l->name);
		free(l);
	}
}

void mt_events_certificates(struct mt_ctl *c)
{
	struct mt_events *e = c->events;
	struct mt_conf_certificate x;
	struct mt_cert_look *l;
	uint32_t pos = 0;

	if (c->now < e->certificates_next)
		return;
	e->certificates_next = c->now + LOOK;
	while ((l = mt_strmap_next(&e->certificates, &pos, NULL)) != NULL)
		l->still = false;
	look_at_identities(c);
	pos = 0;
	while (c->env.conf && mt_conf_certificate_next(c->env.conf, &pos, &x))
		look(c, find(e, x.name, x.len), false, x.not_before, x.not_after);
	look_at_lists(c);
	forget(e, false);
}

const struct mt_cert_look *mt_events_certificate_next(const struct mt_ctl *c, uint32_t *pos)
{
	const struct mt_cert_look *l;

	do
		l = c->events ? mt_strmap_next(&c->events->certificates, pos, NULL) : NULL;
	while (l && l->own);
	return l;
}

void mt_events_certificates_fini(struct mt_events *e)
{
	forget(e, true);
	mt_strmap_fini(&e->certificates);
}
