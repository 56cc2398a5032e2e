/* SPDX-License-Identifier: Apache-2.0 */
/* What the rules know of a sequence: computed from its segments, not by lib/l4. */
#pragma once

#include "conntrack.h"

enum ct_handshake { CT_NOT_BEGUN, CT_SYN_SEEN, CT_SYN_ACK_SEEN, CT_COMPLETE };

struct ct_history {
	enum ct_handshake handshake;
	bool kept; /* a handshake is complete, and its connection has not ended */
	/* the last SYN; the first one since an answer, from the number after its SYN bit to its end */
	uint32_t syn_end, first_syn, first_end;
	bool unanswered;			 /* the server may answer the first one, too */
	uint32_t syn_ack_end, other_syn_ack_end; /* of the last SYN-ACK and the one before */
	bool syn_again;				 /* the client has sent a SYN since the handshake */
	bool syn_is_last;			 /* the last segment is a SYN of the client */
	uint32_t stamp;				 /* of the client's last segment */
	/* FINs of the connection, by their numbers */
	bool fin[2], acked[2], again, taken_back;
	uint32_t fin_end[2];
	/* the last reset, until a handshake begins */
	bool reset, accepted; /* by the kernel */
	bool syn_since;	      /* the client has sent a SYN since */
	bool missed;	      /* its sender has sent other segments since */
	uint8_t reset_by;
	uint8_t before; /* lib/l4's state before it */
};

/* One segment, with the states before and after it, and the history without and with it. */
struct ct_event {
	const struct ct_segment *g;
	uint8_t k0, k, l0, l;
	struct ct_history was, now;
};

/* Adds the event's segment to its history `now`. */
void ct_history_add(struct ct_event *e);
/* The state of lib/l4 by the FINs of a history with a complete handshake. */
uint8_t ct_closing(const struct ct_history *h);
/* A combination of flags that no TCP sends. */
bool ct_is_bad(uint8_t flags);

#define EXPLAINED(name, ends, least, most, document, text) bool ct_##name(const struct ct_event *e);
#include "explained.def"
#undef EXPLAINED
