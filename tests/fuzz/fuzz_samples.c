/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any capture or text as SAMPLES of `meltemi codec test`: its streams are within the input, and
 * their messages are printed by a codec with a container and local replies.
 */
#include "fuzz.h"

#include "codec.h"
#include "packets.h"
#include "print_error.h"

#include <stdio.h>
#include <string.h>

static const char doc[] =
	"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: fuzz}\nspec:\n"
	"  calls: multiplexed\n  places:\n    total: {at: 0, size: 1}\n    kind: {at: 1, size: 1}\n"
	"    id: {at: 2, size: 2}\n    body: {at: 4, to: 0, holds: {lines: {between: \"=\", end: "
	"\"\\n\"}}}\n    user: {in: body, find: user}\n"
	"  frame: {length: total, min: 4, max: 255}\n  messages:\n"
	"  - {is: request, from: client, when: {kind: {min: 0, max: 63}}}\n"
	"  - {is: heartbeat, when: {kind: 64}}\n"
	"  - {is: heartbeat-reply, when: {kind: 65}}\n"
	"  - {is: reply, from: server, when: {kind: {min: 66, max: 127}}}\n"
	"  id: id\n  search: {in: body}\n  metadata: {who: user}\n"
	"  status: {place: kind, ok: 66, other: server}\n"
	"  localReplies: {write: [{length: all, size: 1}, {hex: 43}, {value: id, size: 2}]}\n"
	"  heartbeat: {answer: [{length: all, size: 1}, {hex: 41}, {value: id, size: 2}]}\n";

static struct codec_test *test;

void print_error(const char *fmt, ...)
{
}

static void set_up(void)
{
	static struct codec_test t = {.file = "fuzz"};
	struct mt_diags diags;

	if (test)
		return;
	/* What is printed for people is discarded. */
	MT_ASSERT(freopen("/dev/null", "w", stdout));
	mt_diags_init(&diags);
	mt_region_init(&t.region, 0);
	t.table = mt_codecfile_read(&t.region, &diags, "fuzz", doc, strlen(doc), &t.view);
	mt_diags_print(&diags, stderr);
	mt_diags_fini(&diags);
	MT_ASSERT(t.table);
	t.places = calloc(t.view.n_places, sizeof(*t.places));
	t.found = calloc(t.view.n_places, sizeof(*t.found));
	t.meta = calloc(1, sizeof(*t.meta));
	for (uint32_t i = 0; i < t.view.n_places; i++)
		t.places[i] = t.view.places[i].at;
	test = &t;
}

/* Cuts are in order and within the stream; no byte is from elsewhere. */
static void check(const struct stream *s, size_t size)
{
	MT_ASSERT(s->n > 0 && s->n <= size);
	for (uint32_t i = 0; i < s->n_cuts; i++) {
		MT_ASSERT(s->cuts[i].at < s->n);
		MT_ASSERT(i ? s->cuts[i].at > s->cuts[i - 1].at : s->cuts[i].at || s->cuts[i].gap);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct streams s = {0};
	uint32_t problems;

	set_up();
	problems = test->problems;
	test->shown = 0;
	test->json = size & 1;
	test->all = size & 2;
	if (packets_is(data, size))
		streams_capture(&s, data, size, size & 4 ? 80 : 0);
	else
		streams_text(&s, (const char *)data, size);
	for (uint32_t i = 0; i < s.n; i++) {
		check(&s.of[i], size);
		codec_read(test, "fuzz", &s.of[i]);
	}
	MT_ASSERT(test->problems - problems <= 3 * size);
	streams_free(&s);
	return 0;
}
