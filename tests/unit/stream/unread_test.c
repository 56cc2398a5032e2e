/* SPDX-License-Identifier: Apache-2.0 */
/* What can have been read of bytes 100 to 200, by all that a peer's TCP can say. */
#include "mt_stream.h"
#include "mt_test.h"

#include <stdio.h>

struct row {
	const char *what;
	struct mt_stream_end e;
	enum mt_unread want;
};

#define SENT(s, a) .pos = {.accepted = 200, .sent = s, .acked = a}
#define FIN(a)	   .fin = true, .fin_acked = a
#define RST	   .reset = true
#define RST_ACK(a) .reset = true, .reset_ack = true, .reset_acked = a

static const struct row rows[] = {
	{"never sent", {SENT(100, 100)}, MT_UNREAD_PROVEN},
	{"never sent, all before unacknowledged", {SENT(60, 40)}, MT_UNREAD_PROVEN},
	{"never sent, whatever ended it", {SENT(100, 100), FIN(90), RST, .resent = 100},
		MT_UNREAD_PROVEN},
	{"sent, the connection lives", {SENT(200, 100)}, MT_UNREAD_UNKNOWN},
	/* Out of reach: the machine acknowledges what a killed program has not read. */
	{"acknowledged in full", {SENT(200, 200), RST_ACK(200)}, MT_UNREAD_UNKNOWN},
	{"acknowledged in full, FIN", {SENT(200, 200), FIN(200), RST}, MT_UNREAD_UNKNOWN},
	{"reset with an ACK below it", {SENT(200, 80), RST_ACK(100)}, MT_UNREAD_PROVEN},
	{"the same, sent twice", {SENT(200, 100), RST_ACK(100), .resent = 200}, MT_UNREAD_PROVEN},
	{"reset with an ACK of it all", {SENT(200, 100), RST_ACK(200)}, MT_UNREAD_UNKNOWN},
	{"reset with an ACK of a part", {SENT(200, 100), RST_ACK(150)}, MT_UNREAD_IN_PART},
	/*
	 * Out of reach. A firewall that drops a call may answer so. A machine whose socket is gone
	 * answers a later segment alike: if its ACK of this one and its own reset were lost, the
	 * call was read. A firewall may also reset what it has let pass.
	 */
	{"reset without an ACK, no FIN", {SENT(200, 100), RST}, MT_UNREAD_UNKNOWN},
	{"reset without an ACK, no FIN, sent in part", {SENT(150, 100), RST}, MT_UNREAD_UNKNOWN},
	{"FIN, then a reset of what crossed it", {SENT(200, 100), FIN(100), RST}, MT_UNREAD_PROVEN},
	{"FIN before older bytes were acknowledged", {SENT(200, 60), FIN(60), RST},
		MT_UNREAD_PROVEN},
	{"FIN, then a reset, but sent twice", {SENT(200, 100), FIN(100), RST, .resent = 200},
		MT_UNREAD_IF_WHOLE_CLOSE},
	{"FIN, then a reset, what is before was sent twice",
		{SENT(200, 60), FIN(60), RST, .resent = 100}, MT_UNREAD_PROVEN},
	{"FIN, then a reset with an ACK below it, sent twice",
		{SENT(200, 100), FIN(100), RST_ACK(100), .resent = 200}, MT_UNREAD_PROVEN},
	{"FIN, acknowledged in part, then a reset", {SENT(200, 150), FIN(150), RST},
		MT_UNREAD_IN_PART},
	{"the same, the rest sent twice", {SENT(200, 150), FIN(150), RST, .resent = 200},
		MT_UNREAD_UNKNOWN},
	{"acknowledged in part, the rest never sent", {SENT(150, 150), RST}, MT_UNREAD_IN_PART},
	{"FIN, and nothing yet", {SENT(200, 100), FIN(100)}, MT_UNREAD_UNKNOWN},
	{"FIN, and nothing for long", {SENT(200, 100), FIN(100), .quiet = true},
		MT_UNREAD_IF_WHOLE_CLOSE},
	{"the same, sent twice", {SENT(200, 100), FIN(100), .quiet = true, .resent = 200},
		MT_UNREAD_UNKNOWN},
	{"FIN, acknowledged in part, nothing for long", {SENT(200, 150), FIN(150), .quiet = true},
		MT_UNREAD_UNKNOWN},
};

static void each_row(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		enum mt_unread got = mt_stream_unread(&rows[i].e, 100, 200);

		if (got != rows[i].want)
			printf("  %s: %d, not %d\n", rows[i].what, got, rows[i].want);
		CU_ASSERT_EQUAL(got, rows[i].want);
	}
}

/* Whatever else is known: acknowledged in full is never unread, never sent always is. */
static void whatever_else(void)
{
	for (uint32_t bits = 0; bits < 1u << 5; bits++)
		for (uint64_t acked = 80; acked <= 210; acked += 10)
			for (uint64_t sent = acked; sent <= 220; sent += 10) {
				struct mt_stream_end e = {.pos = {220, sent, acked},
					.fin = bits & 1,
					.fin_acked = acked,
					.reset = bits & 2,
					.reset_ack = bits & 4,
					.reset_acked = acked,
					.quiet = bits & 8,
					.resent = bits & 16 ? sent : 0};
				enum mt_unread got = mt_stream_unread(&e, 100, 200);

				if (acked >= 200)
					CU_ASSERT_EQUAL(got, MT_UNREAD_UNKNOWN);
				if (sent <= 100)
					CU_ASSERT_EQUAL(got, MT_UNREAD_PROVEN);
				if (got == MT_UNREAD_IN_PART)
					CU_ASSERT_TRUE(acked > 100);
				if (got == MT_UNREAD_PROVEN)
					CU_ASSERT_TRUE(acked <= 100);
			}
}

/* Who believes nobody: only what was never sent is unread, and that always. */
static void believes_nobody(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
		CU_ASSERT_EQUAL(mt_stream_unsent(&rows[i].e, 100),
			rows[i].e.pos.sent <= 100 ? MT_UNREAD_PROVEN : MT_UNREAD_UNKNOWN);
}

const struct mt_test unread_tests[] = {
	{"believes nobody", believes_nobody},
	{"each row", each_row},
	{"whatever else", whatever_else},
	{0},
};
