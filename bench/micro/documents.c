/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cost for the control thread, in its CPU time, when one of 10,000 documents (half services, half
 * their rules) changes, step by step as in the daemon. Documents are in files of their own
 * ("files") or all in one ("one"). To count instructions, run valgrind --tool=callgrind with 1 and
 * with 11 changes, and take a tenth of the difference.
 *
 * 	bench_documents [files|one] [CHANGES]
 */
#include "mt_conf.h"
#include "mt_objects.h"
#include "mt_source.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SERVICES 5000
#define CHANGES	 20
#define ISTIO	 "---\napiVersion: networking.istio.io/v1\n"

enum step { READ, TABLE, MODEL, COMPILE, FINISH, KEEP, PUBLISH, RETIRE, N_STEPS };
static const char *const names[] = {
	"read", "table", "model", "compile", "finish", "keep", "publish", "retire"};

static char dir[64];

struct state {
	struct mt_conf *conf;
	struct mt_source_cache *files;
	struct mt_kept *kept;
	struct mt_object_table *table;
};

static void write_service(FILE *f, uint32_t i, uint32_t weight)
{
	fprintf(f,
		ISTIO
		"kind: ServiceEntry\nmetadata: {name: s%u, namespace: ns%u}\nspec:\n"
		"  hosts: [s%u.x]\n  addresses: [10.1.%u.%u]\n  resolution: STATIC\n  ports:\n"
		"  - {number: 20880, name: tcp-metaprotocol-dubbo}\n  endpoints:\n"
		"  - {address: 10.2.%u.%u, weight: %u}\n  - {address: 10.3.%u.%u, weight: 10}\n",
		i, i % 50, i, i / 250, i % 250 + 1, i / 250, i % 250 + 1, weight, i / 250,
		i % 250 + 1);
}

static void write_rule(FILE *f, uint32_t i)
{
	fprintf(f,
		ISTIO "kind: DestinationRule\nmetadata: {name: d%u, namespace: ns%u}\nspec:\n"
		      "  host: s%u.x\n  trafficPolicy:\n    loadBalancer: {simple: ROUND_ROBIN}\n",
		i, i % 50, i);
}

static FILE *create(const char *name, uint32_t i)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s-%05u.yaml", dir, name, i);
	f = fopen(path, "w");
	MT_ASSERT(f);
	return f;
}

/*
 * Writes service `changed` with this weight, of two digits. Only its own file is rewritten, unless
 * `all`.
 */
static void write_documents(bool one, bool all, uint32_t changed, uint32_t weight)
{
	FILE *f = one ? create("all", 0) : NULL;

	for (uint32_t i = 0; i < SERVICES; i++) {
		if (!one && !all && i != changed)
			continue;
		if (!one)
			f = create("service", i);
		write_service(f, i, i == changed ? weight : 10);
		if (!one) {
			fclose(f);
			f = create("rule", i);
		}
		write_rule(f, i);
		if (!one)
			fclose(f);
	}
	if (one)
		fclose(f);
}

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * MT_SEC + (uint64_t)ts.tv_nsec;
}

/* Reloads as the daemon does; adds the time of each step. */
static void reload(struct state *st, uint64_t took[N_STEPS])
{
	const char *const dirs[] = {dir};
	struct mt_source_reading r = {0};
	struct mt_object_table *before = st->table;
	struct mt_conf_change what;
	struct mt_diags diags;
	struct mt_snapshot *s;
	struct mt_err err;
	struct mt_model *m;
	uint64_t at[N_STEPS + 1];
	int rc = 0;

	mt_diags_init(&diags);
	at[READ] = cpu_ns();
	MT_ASSERT(mt_source_read(st->files, &r, &diags, NULL, dirs, 1) == 0);
	at[TABLE] = cpu_ns();
	st->table = mt_table_new(&r, st->kept);
	MT_ASSERT(st->table);
	at[MODEL] = cpu_ns();
	m = mt_table_model(st->table, &rc);
	MT_ASSERT(m && rc == 0);
	at[COMPILE] = cpu_ns();
	s = mt_conf_compile(st->conf, m, &diags, MT_SEC);
	MT_ASSERT(s && diags.errors == 0);
	at[FINISH] = cpu_ns();
	mt_table_finish(st->table, &diags);
	at[KEEP] = cpu_ns();
	MT_ASSERT(mt_kept_update(st->kept, st->table, 0) == 0);
	at[PUBLISH] = cpu_ns();
	MT_ASSERT(mt_conf_publish(st->conf, s, MT_SEC, &what, &err) == 0);
	at[RETIRE] = cpu_ns();
	mt_table_free(before);
	mt_source_reading_fini(&r);
	mt_diags_fini(&diags);
	mt_conf_reap(st->conf, MT_SEC);
	at[N_STEPS] = cpu_ns();
	for (int i = 0; i < N_STEPS; i++)
		took[i] += at[i + 1] - at[i];
}

static void measure(bool one, uint32_t changes, const char *sep)
{
	const struct mt_conf_options o = {.workers = 1};
	uint64_t first[N_STEPS] = {0}, took[N_STEPS] = {0}, sum = 0, all = 0;
	struct mt_err err;
	struct state st = {.conf = mt_conf_create(&o, &err),
		.files = mt_source_cache_new(),
		.kept = mt_kept_open(NULL, false)};

	MT_ASSERT(st.conf && st.files && st.kept);
	write_documents(one, true, 0, 10);
	reload(&st, first);
	/*
	 * Recently written files are read again, because their timestamps do not prove that they
	 * are unchanged.
	 */
	sleep(3);
	reload(&st, took);
	memset(took, 0, sizeof(took));
	for (uint32_t i = 0; i < changes; i++) {
		write_documents(one, false, SERVICES / 2, 11 + i % 2);
		reload(&st, took);
	}
	for (int i = 0; i < N_STEPS; i++) {
		all += first[i];
		sum += took[i];
	}
	printf("%s\"%s\": {\"first_ms\": %.1f, \"change_ms\": %.1f", sep, one ? "one" : "files",
		(double)all / MT_MSEC, (double)sum / changes / MT_MSEC);
	for (int i = 0; i < N_STEPS; i++)
		printf(", \"%s_ms\": %.2f", names[i], (double)took[i] / changes / MT_MSEC);
	printf("}");
	mt_table_free(st.table);
	mt_kept_free(st.kept);
	mt_conf_destroy(st.conf);
	mt_source_cache_free(st.files);
}

static void clean(void)
{
	char command[96];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	MT_ASSERT(system(command) == 0);
}

int main(int argc, char **argv)
{
	uint32_t changes = argc > 2 ? (uint32_t)atoi(argv[2]) : CHANGES;
	const char *sep = "";

	changes = MT_MAX(changes, 1u);
	printf("{\"bench\": \"documents\", \"documents\": %u, \"changes\": %u, ", 2 * SERVICES,
		changes);
	for (int one = 0; one < 2; one++) {
		if (argc > 1 && strcmp(argv[1], one ? "one" : "files") != 0)
			continue;
		snprintf(dir, sizeof(dir), "/tmp/bench_documents_XXXXXX");
		MT_ASSERT(mkdtemp(dir));
		measure(one, changes, sep);
		clean();
		sep = ", ";
	}
	printf("}\n");
	return 0;
}
