/* SPDX-License-Identifier: Apache-2.0 */
#include "layer.h"

#include "mt_tcp_priv.h"

const char *const sim_layer_event_names[SIM_LAYER_N] = {
	[SIM_LAYER_OPENED] = "streams_opened",
	[SIM_LAYER_ACCEPTED] = "streams_accepted",
	[SIM_LAYER_UPDATE] = "key_updates_answered",
	[SIM_LAYER_UPDATE_IDLE] = "answered_while_idle",
	[SIM_LAYER_UPDATE_FULL] = "answered_while_full",
	[SIM_LAYER_ALERT] = "alerts",
	[SIM_LAYER_RECLAIMED] = "reclaimed",
	[SIM_MUX_STREAM] = "mux_streams",
	[SIM_MUX_RESET] = "mux_resets",
	[SIM_MUX_AWAY] = "mux_goaways",
	[SIM_MUX_OUT_OF_CREDIT] = "mux_out_of_credit",
	[SIM_MUX_BESIDE_PAUSED] = "mux_beside_paused",
	[SIM_TLS_STREAM] = "tls_streams",
	[SIM_TLS_UPDATE] = "tls_key_updates",
	[SIM_TLS_LATER] = "tls_later",
};

struct layer *layer_new(enum layer_kind kind, struct sim *s, const char *name,
	struct mt_pools *pools, struct mt_tcp *tcp)
{
	struct layer *l = kind == LAYER_MUX   ? layer_mux_new()
			  : kind == LAYER_TLS ? layer_tls_new()
					      : layer_records_new();

	l->sim = s;
	l->name = name;
	l->pools = pools;
	l->lower = mt_tcp_transport(tcp);
	if (kind == LAYER_TLS)
		layer_tls_begin(l);
	return l;
}

void layer_listen(struct layer *l, struct mt_tcp *tcp)
{
	l->listen = tcp->listen;
	l->listen_arg = tcp->listen_arg;
	tcp->listen = l->lower_listen;
	tcp->listen_arg = l;
}

void layer_check(struct layer *l)
{
	const char *wrong = l ? l->ops->check(l) : NULL;

	if (wrong)
		sim_fail(l->sim, "%s, after a turn: a layer's stream %s", l->name, wrong);
}

uint64_t layer_next(struct layer *l)
{
	return l ? l->ops->next(l) : MT_NEVER;
}

void layer_end(struct layer *l)
{
	uint32_t live = l ? l->ops->live(l) : 0;

	if (!l)
		return;
	if (live && !l->sim->failed)
		sim_fail(l->sim, "%s: %u of a layer's streams are left", l->name, live);
	l->ops->destroy(l);
}
