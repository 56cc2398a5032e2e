/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Legal segments: state by flags (RFC 9293 §3.10.7, RFC 5961). PSH and URG are ignored. A segment
 * with both FIN and SYN is never legal; without ACK only SYN and RST are.
 */
#include "mt_tcp_priv.h"

#define XX MT_TCP_DO_DROP
#define RS MT_TCP_DO_RESET
#define LI MT_TCP_DO_LISTEN
#define CK MT_TCP_DO_COOKIE
#define HA MT_TCP_DO_HALF
#define SS MT_TCP_DO_SYN_SENT
#define AR MT_TCP_DO_ARRIVES
#define TW MT_TCP_DO_TIME_WAIT

/* clang-format off */
static const uint8_t legal[MT_TCP_N_STATES][16] = {
	/*                       none FIN SYN  SF RST  RF  RS RSF ACK  AF  AS ASF  AR ARF ARS ARSF */
	[MT_TCP_CLOSED]      = {  RS,  RS,  RS, XX, XX, XX, XX, XX, RS, RS, RS, XX, XX, XX, XX, XX },
	[MT_TCP_LISTEN]      = {  XX,  XX,  LI, XX, XX, XX, XX, XX, CK, CK, RS, XX, XX, XX, XX, XX },
	[MT_TCP_HALF_OPEN]   = {  XX,  XX,  HA, XX, HA, HA, XX, XX, HA, HA, HA, XX, HA, HA, XX, XX },
	[MT_TCP_SYN_SENT]    = {  XX,  XX,  SS, XX, SS, SS, XX, XX, SS, SS, SS, XX, SS, SS, XX, XX },
	[MT_TCP_SYN_RCVD]    = {  XX,  XX,  AR, XX, AR, AR, XX, XX, AR, AR, AR, XX, AR, AR, XX, XX },
	[MT_TCP_ESTABLISHED] = {  XX,  XX,  AR, XX, AR, AR, XX, XX, AR, AR, AR, XX, AR, AR, XX, XX },
	[MT_TCP_FIN_WAIT_1]  = {  XX,  XX,  AR, XX, AR, AR, XX, XX, AR, AR, AR, XX, AR, AR, XX, XX },
	[MT_TCP_FIN_WAIT_2]  = {  XX,  XX,  AR, XX, AR, AR, XX, XX, AR, AR, AR, XX, AR, AR, XX, XX },
	[MT_TCP_CLOSE_WAIT]  = {  XX,  XX,  AR, XX, AR, AR, XX, XX, AR, AR, AR, XX, AR, AR, XX, XX },
	[MT_TCP_CLOSING]     = {  XX,  XX,  AR, XX, AR, AR, XX, XX, AR, AR, AR, XX, AR, AR, XX, XX },
	[MT_TCP_LAST_ACK]    = {  XX,  XX,  AR, XX, AR, AR, XX, XX, AR, AR, AR, XX, AR, AR, XX, XX },
	[MT_TCP_TIME_WAIT]   = {  XX,  XX,  TW, XX, TW, TW, XX, XX, TW, TW, TW, XX, TW, TW, XX, XX },
};
/* clang-format on */

enum mt_tcp_action mt_tcp_dispatch(enum mt_tcp_state state, uint8_t flags)
{
	uint32_t column =
		(flags & (MT_TCP_FIN | MT_TCP_SYN | MT_TCP_RST)) | (flags & MT_TCP_ACK ? 8u : 0u);

	return (enum mt_tcp_action)legal[state][column];
}

const char *mt_tcp_state_name(enum mt_tcp_state s)
{
	static const char *const names[MT_TCP_N_STATES] = {
		[MT_TCP_CLOSED] = "closed",
		[MT_TCP_LISTEN] = "listen",
		[MT_TCP_HALF_OPEN] = "syn-received",
		[MT_TCP_SYN_SENT] = "syn-sent",
		[MT_TCP_SYN_RCVD] = "syn-received",
		[MT_TCP_ESTABLISHED] = "established",
		[MT_TCP_FIN_WAIT_1] = "fin-wait-1",
		[MT_TCP_FIN_WAIT_2] = "fin-wait-2",
		[MT_TCP_CLOSE_WAIT] = "close-wait",
		[MT_TCP_CLOSING] = "closing",
		[MT_TCP_LAST_ACK] = "last-ack",
		[MT_TCP_TIME_WAIT] = "time-wait",
	};

	return s < MT_TCP_N_STATES ? names[s] : "?";
}
