/* SPDX-License-Identifier: Apache-2.0 */
/* The log of a node as tests make it: outputs to files of sinks.h, and entries in its rings. */
#pragma once

#include "mt_alog.h"

#define FORMAT "%REQ(:METHOD)%"

struct mt_alog *log_new(uint32_t workers);
/* Stops the log, which writes what its rings have, and frees it. */
void log_end(struct mt_alog *l);
/* An output for all calls, to a file of this name, or to a descriptor. */
struct mt_alog_want wants(const char *name, const char *format);
struct mt_alog_want wants_descriptor(int fd, const char *format);
void log_set(struct mt_alog *l, const struct mt_alog_want *w, uint32_t n);
struct mt_alog_output_stats log_counted(const struct mt_alog *l, uint32_t i);
/* Waits until output i has written so many lines, at most 10 s. */
bool log_wrote(const struct mt_alog *l, uint32_t i, uint64_t n);
/* Writes an entry whose line is a numbered one of sinks.h. False: the ring is full. */
bool log_add(struct mt_byte_ring *r, uint32_t number);
/* Publishes n entries whose lines are numbered ones of sinks.h; returns how many had room. */
uint32_t log_add_all(struct mt_byte_ring *r, uint32_t first, uint32_t n);
/* Reserves an entry without values; the caller publishes it. */
struct mt_alog_entry *log_reserve(struct mt_byte_ring *r);
