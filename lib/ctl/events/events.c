/* SPDX-License-Identifier: Apache-2.0 */
/* Looks once a second for events that the log reports. */
#include "mt_ctl_events_priv.h"

#include "mt_cert.h"

#include <stdio.h>

#define LOOK MT_SEC

const char *mt_ctl_span(uint64_t ns, char buf[MT_CTL_SPAN])
{
	if (ns < MT_SEC)
		snprintf(buf, MT_CTL_SPAN, "%llu ms", (unsigned long long)(ns / MT_MSEC));
	else
		mt_span_words((int64_t)((ns + MT_SEC / 2) / MT_SEC), buf, MT_CTL_SPAN);
	return buf;
}

void mt_events_turn(struct mt_ctl *c)
{
	if (!c->events)
		c->events = calloc(1, sizeof(*c->events));
	if (!c->events || c->now < c->events->next)
		return;
	c->events->next = c->now + LOOK;
	mt_outliers_check(c);
	mt_events_clusters(c);
	mt_events_hangs(c);
	mt_events_services(c);
	mt_events_limits(c);
	mt_events_connections(c);
	mt_events_one_way(c);
	mt_events_certificates(c);
}

void mt_events_fini(struct mt_ctl *c)
{
	if (!c->events)
		return;
	free(c->events->lacks);
	free(c->events->one_way);
	mt_events_hangs_fini(c->events);
	mt_events_services_fini(c->events);
	mt_events_certificates_fini(c->events);
	free(c->events);
	c->events = NULL;
}
