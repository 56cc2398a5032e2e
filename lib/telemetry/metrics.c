/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry. It gets each array once and reads it for each query. So workers pay nothing for
 * being observed, and a new outcome of a library appears in all outputs by its row alone.
 */
#include "mt_telemetry_priv.h"

#include <errno.h>
#include <string.h>

struct mt_metrics *mt_metrics_new(void)
{
	return calloc(1, sizeof(struct mt_metrics));
}

void mt_metrics_free(struct mt_metrics *m)
{
	if (!m)
		return;
	for (uint32_t i = 0; i < m->n_rooms; i++)
		free(m->rooms[i].arrays);
	free(m->rooms);
	free(m->families);
	free(m);
}

/*
 * Makes room for one more element in an array that grows at powers of two. NULL: no memory, and the
 * old array stays valid.
 */
static void *grow(void *array, uint32_t n, size_t size)
{
	if (n & (n - 1))
		return array;
	return realloc(array, size * (n ? 2 * (size_t)n : 1));
}

static struct mt_room *find_room(struct mt_metrics *m, const struct mt_outcome_set *set)
{
	struct mt_room *rooms;

	for (uint32_t i = 0; i < m->n_rooms; i++)
		if (m->rooms[i].set == set)
			return &m->rooms[i];
	rooms = grow(m->rooms, m->n_rooms, sizeof(*rooms));
	if (!rooms)
		return NULL;
	m->rooms = rooms;
	rooms[m->n_rooms] = (struct mt_room){.set = set};
	return &rooms[m->n_rooms++];
}

int mt_metrics_add(struct mt_metrics *m, const struct mt_outcome_set *set, const uint64_t *counters)
{
	struct mt_room *r = find_room(m, set);
	const uint64_t **arrays;

	if (!r)
		return -ENOMEM;
	arrays = grow(r->arrays, r->n, sizeof(*arrays));
	if (!arrays)
		return -ENOMEM;
	r->arrays = arrays;
	arrays[r->n++] = counters;
	return 0;
}

int mt_metrics_add_families(struct mt_metrics *m, const struct mt_family *families, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct mt_family **p = grow(m->families, m->n_families, sizeof(*p));

		if (!p)
			return -ENOMEM;
		m->families = p;
		p[m->n_families++] = &families[i];
	}
	return 0;
}

bool mt_metrics_next(const struct mt_metrics *m, uint64_t *pos, struct mt_metric *out)
{
	uint32_t room = (uint32_t)(*pos >> 32), row = (uint32_t)*pos;
	const struct mt_room *r;

	/* Advance to the next library that has a row left. */
	while (room < m->n_rooms && row >= m->rooms[room].set->n) {
		room++;
		row = 0;
	}
	if (room == m->n_rooms)
		return false;
	r = &m->rooms[room];
	*out = (struct mt_metric){.room = r->set->room,
		.name = r->set->rows[row].name,
		.words = r->set->rows[row].words,
		.severity = r->set->rows[row].severity};
	for (uint32_t i = 0; i < r->n; i++)
		out->value += mt_count_read(&r->arrays[i][row]);
	*pos = (uint64_t)room << 32 | (row + 1);
	return true;
}

const char *mt_severity_str(enum mt_severity s)
{
	static const char *const words[] = {
		[MT_SEV_INFO] = "info",
		[MT_SEV_REFUSE] = "refused",
		[MT_SEV_DROP] = "dropped",
		[MT_SEV_ERROR] = "error",
	};

	return (unsigned int)s < MT_ARRAY_LEN(words) ? words[s] : "unknown";
}
