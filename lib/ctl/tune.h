/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that override settings at run time, show the history of configurations, and go back. */
#pragma once

#include "mt_ctl_priv.h"

/* tune.c */
json_t *mt_run_tune(struct mt_ctl *c, const struct mt_request *r, const char *kind);
json_t *mt_run_tune_keep(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_run_tune_drop(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_show_overrides(struct mt_ctl *c, const struct mt_request *r);

/* show_history.c */
json_t *mt_show_history(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_run_diff(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_run_rollback(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_run_commit_confirm(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_run_commit(struct mt_ctl *c, const struct mt_request *r);

/* coverage.c */
json_t *mt_show_coverage(struct mt_ctl *c, const struct mt_request *r);

/*
 * Sets a time in both forms: NAME as "2026-11-20 21:33:59Z", NAME_unix_ms in milliseconds. Tables
 * have the first in text, and both in JSON.
 */
void mt_set_time(json_t *row, const char *name, int64_t unix_ms);
