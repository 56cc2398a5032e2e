/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that override settings at run time or act on connections and endpoints, show the history
 * of configurations, and go back.
 */
#pragma once

#include "mt_ctl_priv.h"

/* tune.c */
/* Set the override that the command's words name: `tune weight`, `log level`, `drain endpoint`. */
mt_run_fn mt_run_tune, mt_run_drain;
/*
 * Requests a change of the overrides. `key`: the answer's member for what was done. `instead`,
 * `note`: NULL or text for the answer.
 */
json_t *mt_ask_tune(struct mt_ctl *c, const struct mt_request *r, const struct mt_ctl_tune *t,
	const char *key, const char *instead, const char *note);
mt_run_fn mt_run_tune_keep, mt_run_tune_drop, mt_show_overrides;

/* return.c: ends drains, and for an endpoint also its ejection. */
mt_run_fn mt_run_return;

/* close.c */
#define MT_CONN_ID 40
/* Formats a connection's id as "WORKER-INDEX-BORN"; returns buf. */
char *mt_conn_id(uint16_t worker, uint32_t index, uint32_t born_ms, char buf[MT_CONN_ID]);
mt_run_fn mt_run_close;
mt_offer_fn mt_offer_close;

/* show_history.c */
/* Logs what an operator did and adds it to the history, though it changed no configuration. */
void mt_ctl_acted(struct mt_ctl *c, const struct mt_who *who, const char *from, char *what);
mt_run_fn mt_show_history, mt_run_diff, mt_run_rollback, mt_run_commit_confirm, mt_run_commit;

/* coverage.c */
mt_run_fn mt_show_coverage;

/*
 * Sets a time in both forms: NAME as "2026-11-20 21:33:59Z", NAME_unix_ms in milliseconds. Tables
 * have the first in text, and both in JSON.
 */
void mt_set_time(json_t *row, const char *name, int64_t unix_ms);
/* c->now by the wall clock, ns since 1970. */
uint64_t mt_ctl_wall(const struct mt_ctl *c);
