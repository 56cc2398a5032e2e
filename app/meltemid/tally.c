/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logs at the end what was dropped, refused or failed; at debug level everything that was counted.
 */
#include "daemon.h"

#include <inttypes.h>

struct set {
	const struct mt_outcome_set *set;
	/* The counters of one worker. */
	const uint64_t *(*of)(struct daemon *d, uint16_t worker);
};

static const uint64_t *of_buf(struct daemon *d, uint16_t w)
{
	return d->pools[w].counters;
}

static const uint64_t *of_net(struct daemon *d, uint16_t w)
{
	return mt_net_counters(mt_worker_net(d->workers[w]));
}

static const uint64_t *of_tcp(struct daemon *d, uint16_t w)
{
	return mt_tcp_counters(mt_worker_tcp(d->workers[w]));
}

static const uint64_t *of_proxy(struct daemon *d, uint16_t w)
{
	return mt_proxy_counters(mt_worker_proxy(d->workers[w]));
}

static const uint64_t *of_upstream(struct daemon *d, uint16_t w)
{
	return mt_proxy_upstream_counters(mt_worker_proxy(d->workers[w]));
}

static const uint64_t *of_filter(struct daemon *d, uint16_t w)
{
	return mt_proxy_filter_counters(mt_worker_proxy(d->workers[w]));
}

static const uint64_t *of_worker(struct daemon *d, uint16_t w)
{
	return mt_worker_stats(d->workers[w])->counters;
}

static const uint64_t *of_l4(struct daemon *d, uint16_t w)
{
	return mt_l4_counters(mt_worker_l4(d->workers[w]));
}

static const uint64_t *of_dns(struct daemon *d, uint16_t w)
{
	return mt_worker_names_counters(d->workers[w]);
}

static const uint64_t *of_tokens(struct daemon *d, uint16_t w)
{
	return mt_proxy_token_counters(mt_worker_proxy(d->workers[w]));
}

static const struct set sets[] = {
	{&mt_buf_outcomes, of_buf},
	{&mt_net_outcomes, of_net},
	{&mt_l4_outcomes, of_l4},
	{&mt_tcp_outcomes, of_tcp},
	{&mt_proxy_outcomes, of_proxy},
	{&mt_upstream_outcomes, of_upstream},
	{&mt_filter_outcomes, of_filter},
	{&mt_token_outcomes, of_tokens},
	{&mt_worker_outcomes, of_worker},
	{&mt_dns_outcomes, of_dns},
};

static void line(const struct mt_outcome *row, const char *room, const char *of, uint64_t n)
{
	enum mt_log_level level = row->severity >= MT_SEV_DROP ? MT_LOG_INFO : MT_LOG_DEBUG;

	if (n)
		mt_log(level, "boot", "%s%s%s %s: %" PRIu64 " (%s)", room, of[0] ? " " : "", of,
			row->name, n, row->words);
}

void tally(struct daemon *d)
{
	/* No rate limit, because there is at most one line for each row. */
	mt_log_set_limit(false);
	for (size_t s = 0; s < MT_ARRAY_LEN(sets); s++)
		for (uint32_t i = 0; i < sets[s].set->n; i++) {
			uint64_t sum = 0;

			for (uint16_t w = 0; w < d->n_workers; w++)
				sum += mt_count_read(&sets[s].of(d, w)[i]);
			if (d->dns && sets[s].set == &mt_dns_outcomes)
				sum += mt_dns_server_counters(d->dns)[i];
			line(&sets[s].set->rows[i], sets[s].set->room, "", sum);
		}
	for (uint16_t p = 0; p < d->n_ports; p++)
		for (uint32_t i = 0; i < mt_port_outcomes.n; i++)
			line(&mt_port_outcomes.rows[i], "port", d->ports[p]->name,
				mt_port_count(d->ports[p], (enum mt_port_outcome)i));
}
