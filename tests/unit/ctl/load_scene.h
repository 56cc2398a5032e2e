/* SPDX-License-Identifier: Apache-2.0 */
/* Scrapes of a configuration with made-up portions of calls (load_test.c). */
#pragma once

#include "suites.h"

/* All of one scrape; the caller frees it. */
char *scraped(struct mt_ctl *c);
/* True if no two samples have the same name and labels. */
bool each_sample_once(const char *out);
/* The sum of the samples of a family that have all these labels. -1: there are none. */
long sum_of(const char *out, const char *family, const char *const *labels);
#define SUM(out, family, ...) sum_of(out, family, (const char *const[]){__VA_ARGS__, NULL})

/* Compiles and publishes the documents. */
void publish_text(struct mt_conf *conf, const char *text);
/* The id of the first service with this protocol. */
uint64_t service_of(const struct mt_conf *conf, const char *protocol);
/* The id of the workload at the address. */
uint64_t caller_at(const struct mt_conf *conf, const char *address);

/* From here on workers have the portions that are made up, and no others. */
void begin_portions(void);
void end_portions(void);
/* A portion with that many good replies, of 100 bytes and 50 us each. */
struct mt_portion *portion_by(uint64_t caller, uint64_t service, uint64_t workload, uint64_t ok);
struct mt_portion *portion(uint64_t service, uint64_t workload, uint64_t ok);

/* Statistics that each service has in place of its own; NULL: those of workers. */
extern const struct mt_service_stats *made_up_stats;
