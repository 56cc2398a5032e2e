/* SPDX-License-Identifier: Apache-2.0 */
/* What the suites about the work of a load share: documents, and loads with a limit. */
#pragma once

#include "objects_test.h"

#include <stdio.h>
#include <string.h>

#define OVER "more than is left for namespace greedy"

static inline uint32_t count(const struct scene *sc, const char *ns, enum mt_object_status status)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < sc->t->n; i++)
		n += strcmp(sc->t->rows[i].o->ns, ns) == 0 && sc->t->rows[i].status == status;
	return n;
}

/* Writes `n` services "sI.NS.example" with `endpoints` endpoints and `ports` ports. */
static inline void put_services(FILE *f, const char *ns, int n, int endpoints, int ports)
{
	for (int i = 0; i < n; i++) {
		fprintf(f,
			"---\n" ISTIO("ServiceEntry", "s%d", "%s") "  hosts: [s%d.%s.example]\n"
								   "  resolution: STATIC\n"
								   "  ports: [",
			i, ns, i, ns);
		for (int k = 0; k < ports; k++)
			fprintf(f, "%s{number: %d, name: tcp-metaprotocol-dubbo-%d}", k ? ", " : "",
				80 + k, k);
		fprintf(f, "]\n  endpoints: [");
		for (int k = 0; k < endpoints; k++)
			fprintf(f, "%s{address: 198.51.100.%d, labels: {app: a}}", k ? ", " : "",
				k + 1);
		fprintf(f, "]\n");
	}
}

/* Loads with a limit of steps. The scene ends with scene_end(). */
static inline void load(struct scene *sc, uint64_t steps, FILE *f, char **text)
{
	const uint64_t most = mt_conf_steps;

	mt_conf_steps = steps;
	scene_load_text(sc, f, text);
	mt_conf_steps = most;
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc->s);
}

/* Writes services of a namespace into a file of their own. */
static inline void put_file(struct scene *sc, const char *ns, int n, int endpoints)
{
	char *text, name[32];
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_services(f, ns, n, endpoints, 1);
	fclose(f);
	snprintf(name, sizeof(name), "%s.yaml", ns);
	scene_write(sc, name, text);
	free(text);
}

/* Loads with a limit of steps. */
static inline void load_again(struct scene *sc, uint64_t steps)
{
	const uint64_t most = mt_conf_steps;

	mt_conf_steps = steps;
	scene_load(sc);
	mt_conf_steps = most;
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc->s);
}

/* Makes the snapshot of the last load the one in force. */
static inline void publish(struct scene *sc)
{
	struct mt_conf_change change;
	struct mt_err err;

	CU_ASSERT_EQUAL_FATAL(mt_conf_publish(sc->conf, sc->s, 1000000, &change, &err), 0);
	sc->s = NULL;
}
