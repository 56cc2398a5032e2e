/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_codec_ending.h"

static const uint8_t of_status[MT_STATUS_N] = {
	[MT_STATUS_OK] = MT_ENDING_ok,
	[MT_STATUS_APP_ERROR] = MT_ENDING_application_error,
	[MT_STATUS_SERVER_ERROR] = MT_ENDING_server_error,
	[MT_STATUS_OVERLOAD] = MT_ENDING_server_overload,
	[MT_STATUS_UNAVAILABLE] = MT_ENDING_server_unavailable,
	[MT_STATUS_DEADLINE] = MT_ENDING_server_timeout,
	[MT_STATUS_CALLER_ERROR] = MT_ENDING_server_bad_request,
	[MT_STATUS_REFUSED] = MT_ENDING_server_unavailable,
};

static const uint8_t of_reply[MT_REPLY_N] = {
	[MT_REPLY_NO_ROUTE] = MT_ENDING_no_route,
	[MT_REPLY_NO_CLUSTER] = MT_ENDING_no_cluster,
	[MT_REPLY_NO_ENDPOINT] = MT_ENDING_no_endpoint,
	[MT_REPLY_OVER_LIMIT] = MT_ENDING_over_local_limit,
	[MT_REPLY_OVERLOAD] = MT_ENDING_overload,
	[MT_REPLY_TIMEOUT] = MT_ENDING_timeout,
	[MT_REPLY_CONN_LOST] = MT_ENDING_connection_lost,
	[MT_REPLY_BAD_REQUEST] = MT_ENDING_bad_request,
	[MT_REPLY_BAD_REPLY] = MT_ENDING_bad_reply,
	[MT_REPLY_UNSUPPORTED] = MT_ENDING_unsupported,
	[MT_REPLY_DENIED] = MT_ENDING_denied,
	[MT_REPLY_TOO_LARGE] = MT_ENDING_too_large,
	[MT_REPLY_NO_UPGRADE] = MT_ENDING_no_upgrade,
};

/* The local reply + 1; 0: none. Several endings may have the same one. */
static const uint8_t reply_of[MT_N_ENDINGS] = {
	[MT_ENDING_bad_request] = 1 + MT_REPLY_BAD_REQUEST,
	[MT_ENDING_too_large] = 1 + MT_REPLY_TOO_LARGE,
	[MT_ENDING_unsupported] = 1 + MT_REPLY_UNSUPPORTED,
	[MT_ENDING_no_upgrade] = 1 + MT_REPLY_NO_UPGRADE,
	[MT_ENDING_token_refused] = 1 + MT_REPLY_DENIED,
	[MT_ENDING_denied] = 1 + MT_REPLY_DENIED,
	[MT_ENDING_no_identity] = 1 + MT_REPLY_DENIED,
	[MT_ENDING_ext_authz_denied] = 1 + MT_REPLY_DENIED,
	[MT_ENDING_ext_authz_error] = 1 + MT_REPLY_DENIED,
	[MT_ENDING_no_route] = 1 + MT_REPLY_NO_ROUTE,
	[MT_ENDING_no_cluster] = 1 + MT_REPLY_NO_CLUSTER,
	[MT_ENDING_on_demand_late] = 1 + MT_REPLY_NO_CLUSTER,
	[MT_ENDING_over_local_limit] = 1 + MT_REPLY_OVER_LIMIT,
	[MT_ENDING_over_global_limit] = 1 + MT_REPLY_OVER_LIMIT,
	[MT_ENDING_limit_error] = 1 + MT_REPLY_OVER_LIMIT,
	[MT_ENDING_overload] = 1 + MT_REPLY_OVERLOAD,
	[MT_ENDING_breaker] = 1 + MT_REPLY_OVERLOAD,
	[MT_ENDING_fault] = 1 + MT_REPLY_OVERLOAD,
	[MT_ENDING_no_endpoint] = 1 + MT_REPLY_NO_ENDPOINT,
	[MT_ENDING_connect_failed] = 1 + MT_REPLY_NO_ENDPOINT,
	[MT_ENDING_connection_lost] = 1 + MT_REPLY_CONN_LOST,
	[MT_ENDING_bad_reply] = 1 + MT_REPLY_BAD_REPLY,
	[MT_ENDING_timeout] = 1 + MT_REPLY_TIMEOUT,
	[MT_ENDING_try_timeout] = 1 + MT_REPLY_TIMEOUT,
};

enum mt_ending mt_ending_of_reply(enum mt_local_reply reply)
{
	return of_reply[reply];
}

enum mt_local_reply mt_reply_of_ending(enum mt_ending ending)
{
	return reply_of[ending] ? reply_of[ending] - 1 : MT_REPLY_N;
}

static enum mt_ending of_local(const struct mt_call_end *e)
{
	if (e->started && e->reply == MT_REPLY_CONN_LOST)
		return MT_ENDING_lost_in_reply;
	return e->ending ? e->ending : of_reply[e->reply];
}

enum mt_ending mt_ending_of(const struct mt_call_end *e)
{
	switch (e->kind) {
	case MT_CALL_END_REPLY:
		return of_status[e->status];
	case MT_CALL_END_LOCAL:
		return of_local(e);
	case MT_CALL_END_ONEWAY:
		return MT_ENDING_oneway;
	case MT_CALL_END_CLIENT:
		return MT_ENDING_client_closed;
	case MT_CALL_END_RESET:
		break;
	}
	return e->started ? MT_ENDING_lost_in_reply : MT_ENDING_reset;
}
