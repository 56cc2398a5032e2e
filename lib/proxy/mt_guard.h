/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may call an endpoint: a call, as the server may read it, judged by the rules that guard the endpoint (lib/authz). What
 * cannot be read is denied where a rule asks for it.
 */
#pragma once

#include "mt_authz.h"
#include "mt_snapshot.h"

struct mt_tls_peer;

/* Texts that cross buffers while one call is judged. */
struct mt_guard_scratch {
	uint8_t interface[MT_META_SCRATCH], method[MT_META_SCRATCH], inner[MT_META_SCRATCH],
		value[MT_META_SCRATCH];
};

/* What a view shows, for an endpoint of the cluster that is guarded, or for a gate. */
struct mt_guard_ask {
	struct mt_view *v; /* NULL: bytes from `peer` */
	struct mt_addr peer;
	const struct mt_tls_peer *who; /* the caller has shown to be; NULL: he came in clear text */
	const struct mt_bound *bound;  /* he entered by a port of workloads; NULL: he did not */
	const struct mt_cluster *cluster;
	const struct mt_endpoint *ep;
	const struct mt_gate_guard *gate; /* in place of both: of a gateway's port */
	struct mt_addr local; /* the address that was called, of a gate; zero: not known */
	const struct mt_service *service; /* NULL: it has left */
	struct mt_guard_scratch *scratch;
	uint32_t asked;			/* mt_exchange.asked */
	const struct mt_claims *claims; /* of his token, which is valid; NULL: he has none */
	bool whole;			/* all of the message is there */
	bool sni_unkept;		/* of bytes: mt_pair */
};

/* A filter that judges calls by the gate of their service, which is its configuration. */
extern const struct mt_filter mt_gate_filter;

/* What the gate `f` says of a message of this caller (both NULL: in clear text, by any port) at that time, in seconds since 1970. Control thread. */
void mt_guard_explain(const struct mt_filter_inst *f, struct mt_view *v,
	const struct mt_tls_peer *who, const struct mt_bound *bound, int64_t now_s,
	struct mt_filter_told *told);
/* In front of a policy's name: what it does with a call. */
const char *mt_guard_effect_str(enum mt_authz_effect e);
/* What is to be told of a call to somebody who judges it. */
struct mt_guard_told {
	struct mt_slice principal, sni, interface,
		method; /* p NULL: none; in the message or ask->scratch */
};
/* false: it cannot be read, or may be taken for several calls. */
bool mt_guard_tell(const struct mt_guard_ask *ask, struct mt_guard_told *t);
/* Whether a change from the `from`th on is of that very name. */
bool mt_guard_is_overlaid(
	const struct mt_view *v, uint32_t from, const uint8_t *name, uint32_t len);
/* *by: who decided, or NULL. */
enum mt_authz_effect mt_guard_judge_gate(
	const struct mt_guard_ask *ask, const struct mt_authz_policy **by);
/* The next value of a key of the metadata, as mt_authz_reader has it. */
enum mt_authz_read mt_guard_metadata(const struct mt_guard_ask *ask, const struct mt_key *key,
	uint32_t *pos, struct mt_slice *value);
enum mt_authz_effect mt_guard_judge(
	const struct mt_guard_ask *ask, const struct mt_authz_policy **by);
