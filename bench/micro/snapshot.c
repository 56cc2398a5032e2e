/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cost for the control thread when one file changes in a configuration with 10,000 routes and
 * 10,000 endpoints, in CPU time of the thread. Measures reading the directory, compiling,
 * publishing, and freeing the previous snapshot. Two shapes: 1,000 services in files of their own,
 * and one service with everything, whose instances are in 100 files.
 *
 * 	bench_snapshot [many|one] [CHANGES]
 */
#include "mt_conf.h"
#include "mt_source.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CHANGES 20

#define ISTIO "---\napiVersion: networking.istio.io/v1\n"

struct shape {
	const char *name;
	uint32_t services, routes, endpoints; /* number of services; routes and endpoints of each */
	uint32_t files; /* number of files for one service's instances; 0: inline */
};

static const struct shape shapes[] = {
	{"many", 1000, 10, 10, 0},
	{"one", 1, 10000, 10000, 100},
};

enum step { LOAD, COMPILE, PUBLISH, RETIRE, N_STEPS };
static const char *const step_names[] = {"load", "compile", "publish", "retire"};

static char dir[64];

static FILE *create(const char *name, uint32_t i)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s-%05u.yaml", dir, name, i);
	f = fopen(path, "w");
	MT_ASSERT(f);
	return f;
}

static void write_routes(FILE *f, const struct shape *s, uint32_t service, uint32_t timeout)
{
	fprintf(f,
		ISTIO "kind: VirtualService\nmetadata: {name: s%u}\nspec:\n  hosts: [s%u.x]\n  "
		      "dubbo:\n",
		service, service);
	for (uint32_t i = 0; i < s->routes; i++)
		fprintf(f,
			"  - name: r%u\n    match:\n    - headers: {interface: {exact: org.Demo}, "
			"method: {exact: m%u}}\n    route:\n    - destination: {host: s%u.x}\n    "
			"timeout: %us\n",
			i, i, service, timeout);
}

static void write_service(const struct shape *s, uint32_t service, uint32_t timeout)
{
	FILE *f = create("service", service);

	fprintf(f,
		ISTIO "kind: ServiceEntry\nmetadata: {name: s%u}\nspec:\n  hosts: [s%u.x]\n"
		      "  addresses: [10.1.%u.%u]\n  resolution: STATIC\n  ports:\n"
		      "  - {number: 20880, name: tcp-metaprotocol-dubbo}\n",
		service, service, service / 250, service % 250 + 1);
	if (s->files)
		fprintf(f, "  workloadSelector: {labels: {app: s%u}}\n", service);
	else
		fprintf(f, "  endpoints:\n");
	for (uint32_t i = 0; !s->files && i < s->endpoints; i++)
		fprintf(f, "  - address: 10.2.%u.%u\n    labels: {version: v%u}\n",
			(service * s->endpoints + i) / 250, (service * s->endpoints + i) % 250 + 1,
			i % 2);
	write_routes(f, s, service, timeout);
	fclose(f);
}

static void write_instances(const struct shape *s, uint32_t file, uint32_t weight)
{
	uint32_t each = s->endpoints / s->files;
	FILE *f = create("instances", file);

	for (uint32_t i = file * each; i < (file + 1) * each; i++)
		fprintf(f,
			ISTIO "kind: WorkloadEntry\nmetadata: {name: w%u}\nspec:\n"
			      "  address: 10.2.%u.%u\n  labels: {app: s0, version: v%u}\n"
			      "  weight: %u\n",
			i, i / 250, i % 250 + 1, i % 2, weight);
	fclose(f);
}

static void write_all(const struct shape *s)
{
	for (uint32_t i = 0; i < s->services; i++)
		write_service(s, i, 3);
	for (uint32_t i = 0; i < s->files; i++)
		write_instances(s, i, 1);
}

/* Changes one file in the middle; the time to write it is not counted. */
static void change(const struct shape *s, uint32_t round)
{
	if (s->files)
		write_instances(s, s->files / 2, 2 + round % 2);
	else
		write_service(s, s->services / 2, 4 + round % 2);
}

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * MT_SEC + (uint64_t)ts.tv_nsec;
}

/* Reloads as the daemon does; adds the time of each step. */
static void reload(struct mt_conf *c, struct mt_source_cache *files, uint64_t took[N_STEPS])
{
	const char *const dirs[] = {dir};
	struct mt_model *m = mt_model_new();
	struct mt_conf_change what;
	struct mt_snapshot *s;
	struct mt_diags diags;
	struct mt_err err;
	uint64_t at[N_STEPS + 1];

	mt_diags_init(&diags);
	at[LOAD] = cpu_ns();
	MT_ASSERT(m && mt_source_load(files, m, &diags, NULL, dirs, 1) == 0);
	at[COMPILE] = cpu_ns();
	s = mt_conf_compile(c, m, &diags, MT_SEC);
	if (!s)
		mt_diags_print(&diags, stderr);
	MT_ASSERT(s);
	at[PUBLISH] = cpu_ns();
	MT_ASSERT(mt_conf_publish(c, s, MT_SEC, &what, &err) == 0);
	at[RETIRE] = cpu_ns();
	mt_model_free(m);
	mt_diags_fini(&diags);
	mt_conf_reap(c, MT_SEC);
	at[N_STEPS] = cpu_ns();
	for (int i = 0; i < N_STEPS; i++)
		took[i] += at[i + 1] - at[i];
}

static void measure(const struct shape *s, uint32_t changes, const char *sep)
{
	const struct mt_conf_options o = {.workers = 1};
	uint64_t first[N_STEPS] = {0}, took[N_STEPS] = {0}, sum = 0, all = 0;
	struct mt_err err;
	struct mt_conf *c = mt_conf_create(&o, &err);
	struct mt_source_cache *files = mt_source_cache_new();

	MT_ASSERT(c && files);
	write_all(s);
	reload(c, files, first);
	/*
	 * Recently written files are read again, because their timestamps do not prove that they
	 * are unchanged.
	 */
	sleep(3);
	reload(c, files, took);
	memset(took, 0, sizeof(took));
	for (uint32_t i = 0; i < changes; i++) {
		change(s, i);
		reload(c, files, took);
	}
	for (int i = 0; i < N_STEPS; i++) {
		all += first[i];
		sum += took[i];
	}
	printf("%s\"%s\": {\"first_ms\": %.1f, \"change_ms\": %.1f", sep, s->name,
		(double)all / MT_MSEC, (double)sum / changes / MT_MSEC);
	for (int i = 0; i < N_STEPS; i++)
		printf(", \"%s_ms\": %.2f", step_names[i], (double)took[i] / changes / MT_MSEC);
	printf("}");
	mt_conf_destroy(c);
	mt_source_cache_free(files);
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
	printf("{\"bench\": \"snapshot\", \"routes\": 10000, \"endpoints\": 10000, \"changes\": "
	       "%u, ",
		changes);
	for (size_t i = 0; i < MT_ARRAY_LEN(shapes); i++) {
		if (argc > 1 && strcmp(argv[1], shapes[i].name) != 0)
			continue;
		snprintf(dir, sizeof(dir), "/tmp/bench_snapshot_XXXXXX");
		MT_ASSERT(mkdtemp(dir));
		measure(&shapes[i], changes, sep);
		clean();
		sep = ", ";
	}
	printf("}\n");
	return 0;
}
