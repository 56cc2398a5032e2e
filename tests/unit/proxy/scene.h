/* SPDX-License-Identifier: Apache-2.0 */
/* What the proxy's tests do over and over: start, talk in toy messages, stop with nothing left. */
#pragma once

#include "config.h"
#include "fake_tcp.h"
#include "mt_test.h"

#define SCENE_BUF (1 << 20)

extern uint8_t scene_buf[SCENE_BUF];
/* Whom the other end of each stream has shown to be, as TLS's (authorize_test.c); NULL: the library is asked. */
extern const struct mt_tls_peer *scene_shown;
extern enum mt_tls_reason scene_failed; /* of the handshake of each connection that ends */

/* Remembers how full the pools are before any test. */
void scene_full(void);
void scene_start_with(uint32_t n_eps, const struct mt_proxy_conf *conf);
void scene_start(uint32_t n_eps);
/*
 * The next entry of the access log, which every scene writes; NULL: none. Valid until the next
 * call.
 */
const struct mt_alog_entry *scene_logged(void);
/*
 * The next entry has this response code, these flags and details in a line of text and of JSON:
 * "503 UH no_healthy_upstream".
 */
void scene_line_is(const char *line);
/* Another proxy has the scene's objects from now on, and writes to the same log. */
void scene_log_of(struct mt_proxy *p);
/* So many calls or malformed messages of this scene had no log. */
void scene_unlogged(uint64_t n);
/* Its text; "-" if it has none. In a static buffer. */
const char *scene_logged_interface(const struct mt_alog_entry *e);
const char *scene_logged_method(const struct mt_alog_entry *e);
/* Everything must be given back: objects, mbufs, holds on the snapshot. */
void scene_stop(void);
/* Calls that were put off until a later iteration (mt_proxy.again). */
uint32_t scene_put_off(void);
uint64_t scene_counted(enum mt_proxy_outcome o);
void scene_send_request(struct fake_conn *c, char kind, uint64_t id, uint32_t len);
/* One message out of what was sent to c; kind 0 when there is none. */
struct toy scene_next_sent(struct fake_conn *c);
void scene_answer(struct fake_conn *server, uint64_t id, uint64_t token, uint32_t len);
/* Gives the listeners a time-out that does not come in a test's way. */
void scene_patient(void);
/* lab_server(i), which there is; connected. */
struct fake_conn *scene_connected_server(uint32_t i);
/* The safe listener's service has these filters from here on. */
void scene_filters(struct mt_filter_inst *filters, uint32_t n);
/* As a filter's own thread does, in this one: the worker learns of it in its next turn. */
void scene_complete(
	const struct mt_filter_ticket *t, enum mt_filter_verdict verdict, const char *text);
/* Long enough without a byte that a client that is wound up ends. */
void scene_quiet(void);
/* The client's FIN. */
void scene_bye(struct fake_conn *c);

/* Takes all mbufs out of the pools, and gives them back. */
void scene_starve(void);
void scene_relieve(void);

/* The sum of a service's portions. */
struct mt_portion scene_portion(uint64_t service);

extern const struct mt_test calls_tests[], endings_tests[], long_tests[], ends_tests[],
	life_tests[], snapshot_move_tests[], admit_tests[], portion_tests[], bounds_tests[],
	on_demand_tests[], record_tests[], stray_tests[], waits_tests[], reading_tests[],
	evict_tests[], retry_tests[], rejoin_tests[], window_tests[], queue_tests[], wide_tests[],
	silence_tests[], oneway_tests[], filters_tests[], chain_tests[], chain_selection_tests[],
	chain_selection_ends_tests[], image_tests[], unacked_tests[], authorize_tests[],
	denied_tests[], secure_tests[], drain_tests[], mirror_tests[], match_tests[],
	match_wire_tests[], tokens_tests[], ext_authz_tests[], dubbo_tests[], cut_tests[],
	leave_tests[], worker_drain_tests[], waiting_tests[], close_tests[], codec_data_tests[],
	codec_file_tests[], codec_versions_tests[], fates_tests[], mirror_fates_tests[],
	natives_tests[], run_tests[], again_tests[], budget_tests[], held_back_tests[],
	node_limits_tests[], layers_tests[], message_time_tests[], oneway_late_tests[],
	reply_wait_tests[], resumed_tests[], ext_authz_waits_tests[], call_log_tests[],
	chosen_tests[], global_limit_tests[], log_metadata_tests[], context_tests[],
	context_protocols_tests[], opaque_limit_tests[];
