/* SPDX-License-Identifier: Apache-2.0 */
/* Ops of codec files: the head of a request by the file, and by the codec of this build. */
#include "ops.h"

#include "mt_codec.h"
#include "mt_codecfile.h"

#include <stdio.h>

static const char dubbo[] = "\xda\xbb\xc2\0\0\0\0\0\0\0\0\1\0\0\0\x61"
			    "\x05"
			    "2.0.2\x0a"
			    "bench.Echo\x05"
			    "0.0.0\x04"
			    "echo\x12"
			    "Ljava/lang/String;\x14"
			    "xxxxxxxxxxxxxxxxxxxx"
			    "H\x04"
			    "path\x0a"
			    "bench.Echo\x04"
			    "user\x05"
			    "jasonZ";
/* awesomeRPC has a fixed header: version, id, length, command, result. */
static const char awesome[] = "\1\0\0\0\7\0\0\0\x21\0\1\0\0"
			      "xxxxxxxxxxxxxxxxxxxx";

static const struct mt_codec *read_file(struct mt_region *region, const char *name)
{
	const struct mt_codec_table *t;
	struct mt_diags diags;
	char path[512], text[8192];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", MT_CODECFILES, name);
	f = fopen(path, "r");
	MT_ASSERT(f != NULL);
	n = fread(text, 1, sizeof(text), f);
	fclose(f);
	mt_region_init(region, 0);
	mt_diags_init(&diags);
	t = mt_codecfile_text(region, &diags, name, text, n);
	mt_diags_print(&diags, stderr);
	mt_diags_fini(&diags);
	MT_ASSERT(t != NULL);
	return &t->codec;
}

static inline void decode(const struct mt_codec *codec, const struct mt_chain *c)
{
	struct mt_decoder d;
	struct mt_msg msg;

	mt_decoder_init(&d, codec, MT_DIR_DOWN, 0, c);
	MT_ASSERT(mt_decoder_run(&d, &msg) == MT_DECODE_DONE && msg.kind == MT_MSG_REQUEST);
}

static OPS_MEASURED void op_dubbo_by_file(const struct mt_codec *codec, const struct mt_chain *c)
{
	decode(codec, c);
}

static OPS_MEASURED void op_awesome_by_file(const struct mt_codec *codec, const struct mt_chain *c)
{
	decode(codec, c);
}

static OPS_MEASURED void op_awesome_decode(const struct mt_codec *codec, const struct mt_chain *c)
{
	decode(codec, c);
}

typedef void op(const struct mt_codec *codec, const struct mt_chain *c);

static uint32_t repeat(struct mt_pools *p, const struct mt_codec *codec, op *measured,
	const char *message, uint32_t len)
{
	struct mt_chain c = {0};

	MT_ASSERT(mt_chain_write(&c, p, message, len) == 0);
	for (int i = 0; i < OPS_ROUNDS; i++)
		measured(codec, &c);
	mt_chain_free(&c);
	return OPS_ROUNDS;
}

uint32_t ops_dubbo_by_file(struct mt_pools *p)
{
	struct mt_region region;
	const struct mt_codec *codec = read_file(&region, "dubbo2.yaml");
	uint32_t n = repeat(p, codec, op_dubbo_by_file, dubbo, sizeof(dubbo) - 1);

	mt_region_fini(&region);
	return n;
}

uint32_t ops_awesome_by_file(struct mt_pools *p)
{
	struct mt_region region;
	const struct mt_codec *codec = read_file(&region, "awesome.yaml");
	uint32_t n = repeat(p, codec, op_awesome_by_file, awesome, sizeof(awesome) - 1);

	mt_region_fini(&region);
	return n;
}

uint32_t ops_awesome_decode(struct mt_pools *p)
{
	return repeat(
		p, mt_codec_find("awesomerpc"), op_awesome_decode, awesome, sizeof(awesome) - 1);
}
