/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records as bytes for collectors: entries of Envoy's Access Log Service (ALS) and log records of
 * OTLP. Pure functions; texts that are not UTF-8 get U+FFFD for each wrong byte, because collectors
 * refuse a whole message for one of them.
 */
#pragma once

#include "mt_alog_record.h"

#define MT_ALOG_WIRE	  (64u << 10) /* bytes of an entry, at most */
#define MT_ALOG_WIRE_HEAD 8192	      /* bytes of an identifier or resource, at most */
#define MT_ALOG_WIRE_TEXT 1024	      /* bytes of a text of an entry; the rest is cut */
#define MT_ALOG_LABELS	  64	      /* attributes of a log record */

/* The writer of the log. */
struct mt_alog_sender {
	const char *node, *cluster; /* names; "": none */
};

/*
 * Field log_entry of HTTPAccessLogEntries (`http`) or TCPAccessLogEntries, with its tag. Returns
 * the length.
 */
uint32_t mt_alog_als_entry(const struct mt_alog_record *r, bool http, uint8_t to[MT_ALOG_WIRE]);
/* Field identifier of StreamAccessLogsMessage, with its tag. */
uint32_t mt_alog_als_identifier(
	const struct mt_alog_sender *s, const char *log_name, uint8_t to[MT_ALOG_WIRE_HEAD]);

/* A text of a log record. */
struct mt_alog_label {
	struct mt_slice key, value;
};

/*
 * Field log_records of ScopeLogs, with its tag. Attributes for which there is no space are counted
 * in the record as dropped. `now`: ns since 1970. At most MT_ALOG_LABELS attributes.
 */
uint32_t mt_alog_otel_record(const struct mt_alog_record *r, uint64_t now, struct mt_slice body,
	const struct mt_alog_label *attributes, uint32_t n, uint8_t to[MT_ALOG_WIRE]);
/* Field resource of ResourceLogs, with its tag. */
uint32_t mt_alog_otel_resource(
	const struct mt_alog_sender *s, const char *log_name, uint8_t to[MT_ALOG_WIRE_HEAD]);
/* Reads ExportLogsServiceResponse (mt_export_conf.answer). */
int mt_alog_otel_answer(
	const uint8_t *data, size_t len, uint64_t *rejected, char *words, size_t words_size);
