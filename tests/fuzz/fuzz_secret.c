/* SPDX-License-Identifier: Apache-2.0 */
/* A Secret as an agent or a discovery server sends it: any bytes, and what becomes of those that are a message. */
#include "fuzz.h"

#include "mt_pb.h"
#include "mt_secret.h"

#include <string.h>

#define MEMORY (8u << 20)

/* Of the message: within it, not empty, of bounded length, and no byte ends it early for a reader of PEM. */
static size_t check_text(const struct mt_slice *t)
{
	MT_ASSERT(!t->p == !t->len);
	MT_ASSERT(t->len <= MT_SECRET_TEXT_MAX);
	MT_ASSERT(!t->p || !memchr(t->p, '\0', t->len));
	return t->len;
}

static void check(const Xds__Secret *s, size_t size)
{
	struct mt_secret_message out;
	struct mt_secret_wrong wrong;
	size_t sum;

	if (!mt_secret_read(s, &out, &wrong)) {
		MT_ASSERT(wrong.words && *wrong.words);
		return;
	}
	sum = check_text(&out.chain) + check_text(&out.key) + check_text(&out.roots) +
	      check_text(&out.crl);
	MT_ASSERT(sum < size);
	MT_ASSERT(!out.chain.p == !out.key.p);
	MT_ASSERT(!out.chain.p != !out.roots.p);
	MT_ASSERT(!out.crl.p || out.roots.p);
	MT_ASSERT(!wrong.words);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mt_pb_arena arena;
	const char *why = NULL;
	Xds__Secret *s;

	mt_pb_arena_init(&arena, MEMORY);
	arena.region.wipe = true;
	s = mt_pb_unpack(&arena, &xds__secret__descriptor, data, size, &why);
	if (s)
		check(s, size);
	else
		MT_ASSERT(why && *why);
	mt_pb_arena_fini(&arena);
	return 0;
}
