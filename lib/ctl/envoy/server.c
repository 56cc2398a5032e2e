/* SPDX-License-Identifier: Apache-2.0 */
/* Pages about the process: version and state, memory, certificates. */
#include "mt_envoy_priv.h"
#include "mt_heap.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const states[] = {[MT_CTL_STARTING] = "INITIALIZING",
	[MT_CTL_SERVING] = "LIVE",
	[MT_CTL_DRAINING] = "DRAINING"};

static unsigned int whole(struct mt_envoy *e, struct mt_text_buf *out, json_t *j)
{
	char *text = j ? json_dumps(j, JSON_INDENT(1)) : NULL;

	json_decref(j);
	e->type = "application/json";
	if (!text)
		return MHD_HTTP_INTERNAL_SERVER_ERROR;
	mt_text_add(out, "%s\n", text);
	free(text);
	return MHD_HTTP_OK;
}

static unsigned int server_info(struct mt_envoy *e, struct mt_text_buf *out)
{
	const char *node = e->c->env.node ? e->c->env.node : "";
	const char *file = e->c->env.node_file ? e->c->env.node_file : "";
	char up[32];

	snprintf(up, sizeof(up), "%llus",
		(unsigned long long)((e->c->now - e->c->started) / MT_SEC));
	return whole(e, out,
		json_pack("{s:s, s:s, s:s, s:s, s:{s:s, s:i}, s:{s:s, s:s}}", "version",
			"meltemi/" MT_VERSION, "state", states[mt_ctl_state_now(e->c)],
			"uptime_current_epoch", up, "uptime_all_epochs", up, "command_line_options",
			"config_path", file, "concurrency", e->c->env.n_workers, "node", "id", node,
			"user_agent_name", "meltemi"));
}

static json_t *number(uint64_t n)
{
	char text[24];

	/* Protobuf's JSON has 64-bit numbers as strings. */
	snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	return json_string(text);
}

static unsigned int memory(struct mt_envoy *e, struct mt_text_buf *out)
{
	struct mallinfo2 m = mallinfo2();
	uint64_t heaps = mt_heap_mapped();
	unsigned long size = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f && fscanf(f, "%lu %lu", &size, &resident) != 2)
		resident = 0;
	if (f)
		fclose(f);
	return whole(e, out,
		mt_json_object(MT_M("allocated", number(m.uordblks + m.hblkhd + heaps)),
			MT_M("heap_size", number(m.arena + m.hblkhd + heaps)),
			MT_M("pageheap_unmapped", number(0)),
			MT_M("pageheap_free", number(m.fordblks)),
			MT_M("total_thread_cache", number(0)),
			MT_M("total_physical_bytes",
				number(resident * (uint64_t)sysconf(_SC_PAGESIZE)))));
}

static void add_cert(json_t *list, json_t *uri, int64_t left)
{
	json_array_append_new(list,
		json_pack("{s:[{s:[{s:o}], s:o}]}", "cert_chain", "subject_alt_names", "uri", uri,
			"days_until_expiration", number(left > 0 ? (uint64_t)left / 86400 : 0)));
}

/* Adds identities from directories; certs() adds those of sources. */
static void add_identity(const struct mt_ctl *c, json_t *list)
{
	struct mt_credential_leaf leaf;
	struct mt_ctl_identity who;

	for (uint32_t i = 0; mt_ctl_identity_at(c, i, &who); i++)
		if (who.directory && who.credential && mt_credential_leaf(who.credential, &leaf))
			add_cert(list, mt_json_text(leaf.principal),
				mt_ctl_until(c, who.credential->not_after));
}

/* Certificates of the node. Keys are never shown. */
static unsigned int certs(struct mt_envoy *e, struct mt_text_buf *out)
{
	const struct mt_ctl_env *env = &e->c->env;
	json_t *list = json_array();

	add_identity(e->c, list);
	for (uint32_t i = 0; i < env->n_sources; i++) {
		const char *words = env->identity ? env->identity(env->arg, i) : NULL;
		int64_t left = 0;

		if (!words || !env->identity_left || !env->identity_left(env->arg, i, &left))
			continue;
		add_cert(list, mt_json_bytes(words, strcspn(words, ",")), left);
	}
	return whole(e, out, mt_json_object(MT_M("certificates", list)));
}

const struct mt_envoy_page mt_envoy_server[] = {
	{"/server_info", "version, state, time since the start", server_info, NULL},
	{"/memory", "memory of the process", memory, NULL},
	{"/certs", "the node's certificates: names, and days until they expire", certs, NULL},
	{.path = NULL},
};
