/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `meltemi support`: one archive for a bug report. All contents are collected in memory as items,
 * then redacted in one place (support_redact.c), then written. Everything in the archive has passed
 * redact_*(), so no item needs redaction of its own.
 */
#pragma once

#include "shell.h"

/* bytes of one item; a longer one is cut, which the manifest mentions */
#define SUPPORT_ITEM_MAX (4u << 20)
#define SUPPORT_ALL_MAX	 (48u << 20) /* bytes of all items */

/* One file of the archive. */
struct item {
	char name[128];
	const char *what; /* a phrase for the manifest */
	json_t *json;	  /* or `text` */
	char *text;
	bool cut;
	char why[160]; /* not "": why it is left out */
};

struct support {
	struct client client;
	bool daemon; /* the daemon answers */
	const char *node_file;
	struct item *items;
	uint32_t n, room;
	size_t bytes; /* collected so far */
	struct redact *redact;
	bool progress; /* print progress on a terminal */
};

/* Adds an item without contents. Never returns NULL: the program exits without memory. */
struct item *support_add(struct support *s, const char *what, const char *fmt, ...) mt_printf(3, 4);
/* Copies a text, cut to SUPPORT_ITEM_MAX (`tail`: the end is kept, otherwise the start). */
void support_text(struct support *s, struct item *it, const char *text, bool tail);
void support_left_out(struct item *it, const char *fmt, ...) mt_printf(2, 3);

/* support_daemon.c: the answers to all `show` commands. */
void support_daemon(struct support *s);
/* support_host.c: the host and the journal; the metrics, by the Node document as data, or NULL. */
void support_host(struct support *s);
void support_metrics(struct support *s, const json_t *node);
/* support_documents.c: the Node document and the documents that it names, read as data. */
void support_documents(struct support *s);

/* ---- support_redact.c ------------------------------------------------------------------------ */

struct redact;

struct redact *redact_new(void);
void redact_free(struct redact *r);

/*
 * Call for each document or answer before any is written. Values under keys that mean a secret are
 * remembered, and masked wherever their bytes occur.
 */
void redact_learn(struct redact *r, const json_t *v);
/* A copy without secrets; the caller owns the reference. */
json_t *redact_json(struct redact *r, const json_t *v);
/* A copy without secrets, malloc'd. */
char *redact_text(struct redact *r, const char *text);
uint32_t redact_masked(const struct redact *r);

/* support_pack.c: writes a tar.gz with mode 0600, atomically. False with the reason in `why`. */
bool support_pack(const struct support *s, const char *path, const char *manifest, char why[256]);

/* Runs the command; returns the exit code. */
int support_run(int argc, char **argv, const char *socket);
