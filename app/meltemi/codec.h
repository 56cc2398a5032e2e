/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `meltemi codec test`: compiles a codec file as a node does, and reads messages of it, offline.
 * Prints where the file's places are in each message, and what Meltemi itself would send. Messages
 * are printed one by one, so that the memory does not grow with their number.
 */
#pragma once

#include "shell.h"
#include "streams.h"

#include "mt_codecfile.h"

#define CODEC_INPUT_MAX (64u << 20) /* bytes of samples */
#define CODEC_SHOWN	50	    /* messages; --all prints all */
#define CODEC_BYTES	48	    /* bytes of a place that are printed; --all: all */

struct codec_test {
	const char *path;
	char file[1024]; /* the same as text */
	bool json, all;
	uint32_t port; /* of servers in captures; 0: all */
	struct mt_region region;
	struct mt_codecfile_view view;
	const struct mt_codec_table *table;
	struct mt_ct_place *places; /* view.n_places; those that cannot be found are empty */
	struct mt_ct_found *found;
	struct mt_metadata *meta;
	uint32_t shown;
	uint32_t messages, refused, problems;
	uint32_t kinds[MT_MSG_N_KINDS];
};

/* codec_file.c: what the file describes, and `limits`: what it cannot do, and why. */
json_t *codec_file(const struct codec_test *t);

/* codec_read.c: `input` is a text. Reads the messages of a stream, and prints them. */
void codec_read(struct codec_test *t, const char *input, const struct stream *s);
/* Prints a problem of an input that belongs to none of its streams. */
void codec_problem(struct codec_test *t, const char *input, const char *fmt, ...) mt_printf(3, 4);

/* codec_message.c: what Meltemi reads in a message at p, which t->found was filled for. */
json_t *codec_message(
	struct codec_test *t, enum mt_dir from, const struct mt_msg *msg, const uint8_t *p);
/* Bytes as hex digits, at most CODEC_BYTES of them unless --all. */
json_t *codec_hex(const struct codec_test *t, const uint8_t *p, uint32_t n);

/* codec_page.c: prints an object of the functions above as text. */
void codec_page_file(const struct codec_test *t, const json_t *file);
void codec_page_message(const json_t *m);
void codec_page_end(const struct codec_test *t);

int codec_run(int argc, char **argv, bool json);
