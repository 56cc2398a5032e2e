/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of options.c. Each function returns 0, or -EINVAL with the error in the text. */
#pragma once

#include "options.h"

extern const char blast_usage[];

int blast_opt_number(const char *text, uint64_t min, uint64_t max, uint64_t *to, struct mt_err *e);
int blast_opt_number32(
	const char *text, uint32_t min, uint32_t max, uint32_t *to, struct mt_err *e);
int blast_opt_decimal(const char *text, double max, double *to, struct mt_err *e);
int blast_opt_share(const char *text, double *to, struct mt_err *e);
int blast_opt_word(const char *text, const char *const *words, uint32_t *to, struct mt_err *e);
int blast_opt_address(const char *text, struct mt_addr *a, struct mt_err *e);
int blast_opt_sources(const char *text, struct blast_options *o, struct mt_err *e);
int blast_opt_sizes(const char *text, struct blast_dist *d, struct mt_err *e);
int blast_opt_reply_sizes(const char *text, struct blast_options *o, struct mt_err *e);
int blast_opt_stall(const char *text, struct blast_options *o, struct mt_err *e);
int blast_opt_proto(const char *text, struct blast_options *o, struct mt_err *e);
int blast_opt_name(const char *text, const char **to, struct mt_err *e);
/* --device ring: the addresses of both ends. */
int blast_opt_ring_address(struct blast_options *o, struct mt_err *e);
