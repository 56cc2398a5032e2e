/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Authorization of calls and opaque TCP, at an endpoint or at a gateway's port, by the rules of
 * lib/authz. The rules evaluate a call as the server may read it. If a rule needs data that cannot
 * be read, the call is denied.
 */
#pragma once

#include "mt_authz.h"
#include "mt_snapshot.h"

struct mt_tls_peer;

/* Copies of texts that cross buffers, valid while one call is evaluated. */
struct mt_authorize_scratch {
	uint8_t interface[MT_META_SCRATCH], method[MT_META_SCRATCH], inner[MT_META_SCRATCH],
		value[MT_META_SCRATCH];
};

/*
 * A call or opaque stream to be authorized: at the endpoint `ep` of `cluster`, which has rules, or
 * at the gateway's port `gate`. The pointers are valid during the evaluation only.
 */
struct mt_authorize_request {
	struct mt_view *v;	       /* the message; NULL: opaque TCP */
	struct mt_addr peer;	       /* the caller's address */
	const struct mt_tls_peer *who; /* the caller's TLS identity; NULL: plaintext */
	/* Binding of the workload port where the caller entered; NULL: it entered by another port. */
	const struct mt_bound *bound;
	const struct mt_cluster *cluster;
	const struct mt_endpoint *ep;
	const struct mt_gate_guard *gate; /* NULL: authorize at `ep` */
	struct mt_addr local;		  /* with `gate`: the called address; zero: unknown */
	const struct mt_service *service; /* NULL: not in the configuration any more */
	struct mt_authorize_scratch *scratch;
	uint32_t asked;			/* as mt_exchange.asked */
	const struct mt_claims *claims; /* of the caller's valid token; NULL: it has none */
	bool whole;			/* the message is complete */
	bool sni_unkept;		/* of opaque TCP: mt_pair.sni_unkept */
};

/* Filter that authorizes calls at a gateway's port; its configuration is a struct mt_gate_guard. */
extern const struct mt_filter mt_gate_filter;

/*
 * Sets `*told` to what the mt_gate_filter `f` would do with this message at `now_s` (seconds since
 * 1970); leaves it unchanged if the filter lets the message pass. `who` and `bound` are those of
 * struct mt_authorize_request. Control thread only.
 */
void mt_authorize_explain(const struct mt_filter_inst *f, struct mt_view *v,
	const struct mt_tls_peer *who, const struct mt_bound *bound, int64_t now_s,
	struct mt_filter_told *told);
/* Static text that precedes a policy's name, for what it does with a call: "denied by". */
const char *mt_authorize_effect_str(enum mt_authz_effect e);
/*
 * The fields of an external authorization request. A slice with p NULL: none. The texts are in the
 * message, in `*ask->who` or `*ask->bound`, or in `ask->scratch`.
 */
struct mt_authorize_fields {
	struct mt_slice principal, sni, interface, method;
};
/* Fills *t. False: the call cannot be read, or the server may read it as several calls. */
bool mt_authorize_read_fields(
	const struct mt_authorize_request *ask, struct mt_authorize_fields *t);
/* True if one of the view's changes, from index `from` on, has exactly this name. */
bool mt_authorize_is_overlaid(
	const struct mt_view *v, uint32_t from, const uint8_t *name, uint32_t len);
/*
 * Evaluates the rules of `ask->gate`. *by: the policy that decided, as mt_authz_judge() sets it.
 * Any thread, with a view and a scratch of its own.
 */
enum mt_authz_effect mt_authorize_at_gateway(
	const struct mt_authorize_request *ask, const struct mt_authz_policy **by);
/* Finds the next value of a metadata key, as mt_authz_reader.metadata does. */
enum mt_authz_read mt_authorize_metadata(const struct mt_authorize_request *ask,
	const struct mt_key *key, uint32_t *pos, struct mt_slice *value);
/* Evaluates the rules of `ask->ep`, otherwise as mt_authorize_at_gateway(). */
enum mt_authz_effect mt_authorize_at_endpoint(
	const struct mt_authorize_request *ask, const struct mt_authz_policy **by);
