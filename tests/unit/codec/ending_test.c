/* SPDX-License-Identifier: Apache-2.0 */
/* The ending of a call, by what its codec and lib/proxy know. */
#include "codec_test.h"

#include "mt_codec_ending.h"

static enum mt_ending local(enum mt_local_reply reply, bool started)
{
	return mt_ending_of(&(struct mt_call_end){
		.kind = MT_CALL_END_LOCAL, .reply = reply, .started = started});
}

static enum mt_ending of(enum mt_call_end_kind kind, enum mt_msg_status status, bool started)
{
	return mt_ending_of(
		&(struct mt_call_end){.kind = kind, .status = status, .started = started});
}

static void replies(void)
{
	CU_ASSERT_EQUAL(of(MT_CALL_END_REPLY, MT_STATUS_OK, false), MT_ENDING_ok);
	CU_ASSERT_EQUAL(
		of(MT_CALL_END_REPLY, MT_STATUS_APP_ERROR, false), MT_ENDING_application_error);
	CU_ASSERT_EQUAL(
		of(MT_CALL_END_REPLY, MT_STATUS_SERVER_ERROR, false), MT_ENDING_server_error);
	CU_ASSERT_EQUAL(of(MT_CALL_END_ONEWAY, MT_STATUS_OK, false), MT_ENDING_oneway);
	CU_ASSERT_EQUAL(of(MT_CALL_END_CLIENT, MT_STATUS_OK, false), MT_ENDING_client_closed);
	CU_ASSERT_EQUAL(of(MT_CALL_END_RESET, MT_STATUS_OK, false), MT_ENDING_reset);
	CU_ASSERT_EQUAL(of(MT_CALL_END_RESET, MT_STATUS_OK, true), MT_ENDING_lost_in_reply);
}

/* Each local reply has a row of its own, with a code of an error. */
static void local_replies(void)
{
	CU_ASSERT_EQUAL(local(MT_REPLY_CONN_LOST, false), MT_ENDING_connection_lost);
	CU_ASSERT_EQUAL(local(MT_REPLY_CONN_LOST, true), MT_ENDING_lost_in_reply);
	for (int i = 0; i < MT_REPLY_N; i++) {
		CU_ASSERT_TRUE(local((enum mt_local_reply)i, false) != MT_ENDING_ok);
		CU_ASSERT_TRUE(mt_endings[local((enum mt_local_reply)i, false)].code >= 400);
		for (int j = 0; j < i; j++)
			CU_ASSERT_NOT_EQUAL(local((enum mt_local_reply)i, false),
				local((enum mt_local_reply)j, false));
	}
}

/* An exact ending has the local reply that the call gets, and a code of an error. */
static void exact_endings(void)
{
	uint32_t n = 0;

	for (int i = 0; i < MT_REPLY_N; i++)
		CU_ASSERT_EQUAL(mt_reply_of_ending(mt_ending_of_reply((enum mt_local_reply)i)), i);
	for (int i = 0; i < MT_N_ENDINGS; i++) {
		struct mt_call_end e = {.kind = MT_CALL_END_LOCAL,
			.reply = mt_reply_of_ending((enum mt_ending)i),
			.ending = (enum mt_ending)i};

		if (e.reply == MT_REPLY_N)
			continue;
		n++;
		CU_ASSERT_EQUAL(mt_ending_of(&e), i);
		CU_ASSERT_TRUE(mt_endings[i].code >= 400);
	}
	CU_ASSERT_EQUAL(n, MT_REPLY_N + 11);
	CU_ASSERT_EQUAL(mt_reply_of_ending(MT_ENDING_ok), MT_REPLY_N);
	CU_ASSERT_EQUAL(mt_reply_of_ending(MT_ENDING_no_chain), MT_REPLY_N);
	CU_ASSERT_EQUAL(mt_reply_of_ending(MT_ENDING_ext_authz_denied), MT_REPLY_DENIED);
	CU_ASSERT_EQUAL(mt_reply_of_ending(MT_ENDING_limit_error), MT_REPLY_OVER_LIMIT);
	CU_ASSERT_EQUAL(mt_ending_of(&(struct mt_call_end){.kind = MT_CALL_END_LOCAL,
				.reply = MT_REPLY_CONN_LOST,
				.ending = MT_ENDING_connection_lost,
				.started = true}),
		MT_ENDING_lost_in_reply);
}

const struct mt_test ending_tests[] = {{"replies", replies}, {"local replies", local_replies},
	{"exact endings", exact_endings}, {0}};
