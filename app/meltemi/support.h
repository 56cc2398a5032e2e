/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `meltemi support`: one archive for a bug report. Everything is gathered in memory as items, then made harmless in
 * one place (support_redact.c), then written. Nothing gets into the archive past redact_*(): an item that forgot
 * to be careful is made careful there.
 */
#pragma once

#include "shell.h"

#include <jansson.h>

#define SUPPORT_ITEM_MAX (4u << 20)  /* bytes of one item; what is longer is cut, and says so */
#define SUPPORT_ALL_MAX	 (48u << 20) /* of all of them */

/* One file of the archive. */
struct item {
	char name[128];
	const char *what; /* a phrase for the manifest */
	json_t *json;	  /* or */
	char *text;
	bool cut;
	char why[160]; /* not "": it is left out, and why */
};

struct support {
	struct client client;
	bool daemon; /* it answers */
	const char *node_file;
	struct item *items;
	uint32_t n, room;
	size_t bytes; /* gathered so far */
	struct redact *redact;
	bool progress; /* on a terminal */
};

/* An item without content yet. Never NULL: no memory ends the program. */
struct item *support_add(struct support *s, const char *what, const char *fmt, ...) mt_printf(3, 4);
/* A text that is not ours to keep; cut to SUPPORT_ITEM_MAX (the end of it stays if `tail`). */
void support_text(struct support *s, struct item *it, const char *text, bool tail);
void support_left_out(struct item *it, const char *fmt, ...) mt_printf(2, 3);

/* support_daemon.c: answers of all `show` commands, the metrics. */
void support_daemon(struct support *s);
/* support_host.c: the host, the journal; a file as it is, to be freed; metrics, by the Node document, as data. */
void support_host(struct support *s);
char *support_file(const char *path);
void support_metrics(struct support *s, const json_t *node);
/* support_documents.c: the Node document and those it names, read as data. */
void support_documents(struct support *s);

/* ---- support_redact.c ------------------------------------------------------------------------ */

struct redact;

/* `names`: addresses and names become pseudonyms, the same one for the same thing in all of the archive. */
struct redact *redact_new(bool names);
void redact_free(struct redact *r);

/*
 * Looks at a document or an answer before anything is written: what stands under a key that means a secret is known from
 * then on, and is masked wherever its bytes occur.
 */
void redact_learn(struct redact *r, const json_t *v);
/* A name that becomes a pseudonym, if any does. */
void redact_name(struct redact *r, const char *kind, const char *name);
/* The same without secrets; a new reference. */
json_t *redact_json(struct redact *r, const json_t *v);
/* malloc'd. */
char *redact_text(struct redact *r, const char *text);
uint32_t redact_masked(const struct redact *r);

/* ---- support_names.c ------------------------------------------------------------------------- */

struct pseudonyms;
struct pseudonyms *pseudonyms_new(void);
void pseudonyms_free(struct pseudonyms *p);
/* A name that has to go; kind: what it is called instead, "service". Too short ones are no names. */
void pseudonyms_add(struct pseudonyms *p, const char *kind, const char *name);
/* Addresses and known names replaced; malloc'd. */
char *pseudonyms_text(struct pseudonyms *p, const char *text);

/* support_pack.c: a tar.gz, mode 0600, at once whole or not at all. false: *why. */
bool support_pack(const struct support *s, const char *path, const char *manifest, char why[256]);

/* The command. The exit code. */
int support_run(int argc, char **argv, const char *socket);
