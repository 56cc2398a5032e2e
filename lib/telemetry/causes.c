/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outcomes that follow others. One event may count in several libraries: a server that refuses
 * connections counts as a failed connect, an ejection and a local reply. An outcome with a row here
 * is only an effect while one of its causes has counted, too; `show errors` and `show health` then
 * have it in the row of that cause. A row has causes of the same events only: a cause that merely
 * may coincide would hide an outcome under a wrong remedy.
 */
#include "mt_telemetry.h"

#include <string.h>

#define NO_ANSWER                                                                                  \
	"proxy_up_connect_failed proxy_up_silent proxy_up_stalled proxy_up_malformed "             \
	"proxy_up_reset proxy_reply_timeout"

static const struct follower {
	const char *name, *causes;
} followers[] = {
	/* servers */
	{"proxy_up_connect_failed", "net_neigh_failed tcp_connect_unreachable tcp_connect_timeouts "
				    "tcp_icmp_unreachable tcp_open_no_route"},
	{"tcp_connect_unreachable", "net_neigh_failed net_no_route"},
	{"tcp_open_no_route", "net_neigh_failed net_neigh_still_failed net_no_route"},
	{"net_neigh_still_failed", "net_neigh_failed"},
	{"tcp_tx_no_route", "net_neigh_failed net_no_route"},
	{"proxy_up_reset", "proxy_up_connect_failed tcp_path_silent"},
	{"upstream_ejected", NO_ANSWER},
	{"upstream_all_ejected", "upstream_ejected"},
	{"upstream_panic", "upstream_ejected"},
	{"proxy_reply_no_endpoint", "upstream_no_endpoint upstream_all_ejected upstream_ejected "
				    "proxy_up_connect_failed proxy_up_reset"},
	{"proxy_opaque_no_endpoint", "upstream_no_endpoint upstream_all_ejected upstream_ejected "
				     "proxy_up_connect_failed proxy_up_reset"},
	{"upstream_no_endpoint", "proxy_up_connect_failed proxy_up_reset"},
	{"proxy_reply_conn_lost",
		"proxy_up_silent proxy_up_stalled proxy_up_malformed proxy_up_evicted "
		"proxy_up_connect_failed proxy_up_reset"},
	{"proxy_reply_truncated", "proxy_up_stalled proxy_up_malformed proxy_up_reset"},
	{"proxy_reply_bad_reply", "proxy_up_malformed"},
	{"proxy_reply_timeout", "proxy_up_silent proxy_up_stalled"},
	{"proxy_exchange_oneway_lost", "proxy_up_connect_failed proxy_up_reset proxy_up_silent"},
	/* limits and policies */
	{"proxy_reply_over_limit", "filter_rate_limited filter_global_limited"},
	{"proxy_opaque_over_limit", "filter_rate_limited filter_global_limited"},
	{"proxy_reply_denied",
		"proxy_exchange_closed proxy_exchange_denied proxy_exchange_unauthenticated "
		"proxy_exchange_extauthz_failed proxy_exchange_no_node_identity "
		"proxy_exchange_unreadable"},
	{"proxy_exchange_unauthenticated",
		"jwt_malformed jwt_too_long jwt_several jwt_algorithm jwt_issuer jwt_not_yet "
		"jwt_expired jwt_audience jwt_no_keys jwt_no_key jwt_signature jwt_internal"},
	{"jwt_no_keys", "jwks_fetch_failed"},
	{"proxy_exchange_extauthz_failed",
		"extauthz_unreachable extauthz_late extauthz_refused extauthz_bad_answer "
		"extauthz_no_memory"},
	/* capacity and memory */
	{"tcp_accept_refused", "proxy_down_full proxy_down_draining proxy_up_limited proxy_up_full "
			       "proxy_opaque_no_endpoint"},
	{"proxy_up_no_source_port", "tcp_no_source_port"},
	{"tcp_open_no_memory", "tcp_conns_full"},
	{"tcp_evicted", "proxy_evicted_receiving proxy_evicted_waiting proxy_evicted_replying "
			"proxy_evicted_streaming proxy_up_evicted"},
	{"proxy_reply_overload", "proxy_up_limited proxy_evicted_waiting proxy_evicted_receiving "
				 "proxy_endpoint_overloaded"},
	{"proxy_exchange_reset", "proxy_slow_reader proxy_evicted_replying proxy_reply_truncated "
				 "proxy_reply_unsendable proxy_message_stalled"},
	{"net_rx_no_memory", "buf_data_pool_empty buf_ctrl_pool_empty"},
	{"net_tx_no_memory", "buf_data_pool_empty buf_ctrl_pool_empty"},
	{"port_tx_no_memory", "buf_data_pool_empty buf_ctrl_pool_empty"},
	{"tcp_tx_no_memory", "buf_data_pool_empty buf_ctrl_pool_empty"},
	{"proxy_no_memory", "buf_data_pool_empty buf_ctrl_pool_empty"},
};

const char *mt_causes(const char *name)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(followers); i++)
		if (strcmp(followers[i].name, name) == 0)
			return followers[i].causes;
	return NULL;
}

const char *mt_causes_row(uint32_t i)
{
	return i < MT_ARRAY_LEN(followers) ? followers[i].name : NULL;
}
