/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads sets of documents that come on standard input, one after another, as a node does whose operator edits them: each is
 * compiled, published, drawn and analysed. In one process, because a set takes milliseconds so and the daemon takes a second.
 *
 *	start FLAGS		a new node; of the flags, i: it has an identity, l: it looks up names
 *	text NAMESPACE SIZE	a file of the next set, SIZE bytes after the line; NAMESPACE "-": "default"
 *	mesh SIZE		a file that contains a MeshConfig
 *	partial NUMBER		the file of that number, from 0, was not read to its end
 *	load			loads the set; answers with a line of counts
 *	show			loads the set; answers with a line of JSON: what is compiled ("picture", null if the Node is
 *				refused), the rows of its objects, and its messages
 *
 * A set without a Node gets one. The exit status is 0 at the end of the input. A set that takes more than ten CPU seconds
 * ends the program.
 */
#include "checked.h"
#include "golden.h"

#include "mt_analyse.h"
#include "mt_secret_hash.h"
#include "mt_source.h"
#include "tls/pki.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define CPU_SECONDS 10
#define START	    (100 * MT_SEC)
#define WALL	    INT64_C(1790000000)
#define STEPS	    UINT64_C(200000)
#define REFUSALS    64 /* app/meltemid/config.c gives a whole load up after so many */

static const char some_node[] =
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: loads}\nspec:\n"
	"  ports: [{name: p0, device: net_null0, addresses: [10.255.255.1/8]}]\n  dns: {}\n";

static struct {
	struct mt_conf *conf;
	struct mt_kept *kept;
	uint64_t now;
	uint32_t loads;
	bool identity, look_up, shows; /* shows: answers to the next load by its picture */
} node;

/* Of the set that is being read. */
static struct mt_source_reading reading;
static struct mt_diags diags;
static uint32_t n_files;

/* ---- names of instances ------------------------------------------------------------------------------ */

/* None, one or several addresses, by the name's letters. */
static void find_name(void *arg, const char *name, struct mt_name_state *out)
{
	static struct mt_addr pool[256];
	uint32_t h = 0;

	(void)arg;
	if (!pool[0].b[15])
		for (uint32_t i = 0; i < MT_ARRAY_LEN(pool); i++) {
			char text[32];

			snprintf(text, sizeof(text), "100.64.%u.1", i);
			MT_ASSERT(mt_addr_parse(text, &pool[i]) == 0);
		}
	while (*name)
		h = h * 31 + (uint8_t)*name++;
	*out = (struct mt_name_state){.addrs = &pool[h / 4 % (MT_ARRAY_LEN(pool) - 3)],
		.n = h % 4,
		.answered = true,
		.why = h % 4 ? "" : "no such name"};
}

/* ---- time --------------------------------------------------------------------------------------------- */

static void too_long(int signal)
{
	static const char words[] = "no answer in ten CPU seconds\n";

	(void)signal;
	(void)!write(STDERR_FILENO, words, sizeof(words) - 1);
	abort();
}

/* Of the next set. */
static void start_timer(void)
{
	const struct itimerval limit = {.it_value.tv_sec = CPU_SECONDS};

	MT_ASSERT(setitimer(ITIMER_PROF, &limit, NULL) == 0);
}

/* ---- one load ---------------------------------------------------------------------------------------- */

/* The other identities that the Node uses; the node gets none of them but one. */
static void hold(const struct mt_object_table *t)
{
	struct mt_conf_held v[MT_HELD_MAX];
	const struct mt_node *n = NULL;

	for (uint32_t i = 0; i < t->n && !n; i++)
		if (t->rows[i].used)
			n = t->rows[i].used->part->node;
	if (!node.identity || !n)
		return;
	for (uint32_t i = 0; i < n->n_identities; i++) {
		const char *name = n->identities[i].principal.s;

		v[i] = (struct mt_conf_held){name, strcmp(name, PKI_BOB) == 0 ? pki()->bob : NULL};
	}
	MT_ASSERT(mt_conf_set_held(node.conf, v, n->n_identities) >= 0);
}

static json_t *picture(const struct mt_snapshot *s)
{
	json_t *all = json_object();

	put_number(all, "timeout_ms", s->timeout_ms);
	put_json(all, "listeners", golden_listeners(s));
	put_json(all, "forwarded ports", golden_forwards(s));
	put_json(all, "NAT", golden_nat(s));
	put_json(all, "services", golden_services(s));
	put_json(all, "clusters", golden_clusters(s));
	put_json(all, "names", golden_names(s));
	return all;
}

/* Walks all of it. That costs more than all else, so one set in eight is drawn. */
static void draw(const struct mt_snapshot *s)
{
	if (++node.loads % 8)
		return;
	json_decref(picture(s));
}

static void show(struct mt_object_table *t, const struct mt_snapshot *s)
{
	json_t *all = json_object(), *messages = json_array();
	char text[1024];

	for (uint32_t i = 0; i < diags.n; i++) {
		mt_diag_format(&diags.items[i], text, sizeof(text));
		add_text(messages, "%s", text);
	}
	golden_details = true;
	json_object_set_new(all, "picture", s ? picture(s) : json_null());
	golden_details = false;
	json_object_set_new(all, "objects", mt_table_json(t));
	json_object_set_new(all, "messages", messages);
	json_dumpf(all, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
	putchar('\n');
	json_decref(all);
}

static void analyse(
	struct mt_object_table *t, const struct mt_audit *audit, const struct mt_snapshot *s)
{
	const struct mt_analyse_in in = {.table = t,
		.audit = audit,
		.snap = s,
		.wall = WALL,
		.identity = node.identity,
		.principal = node.identity ? PKI_ALICE + strlen("spiffe://") : NULL,
		.steps = STEPS};
	json_t *found = mt_analyse(&in);
	json_t *calls = mt_analyse_principal(&in, "cluster.local/ns/default/sa/default", NULL);

	MT_ASSERT(found && calls);
	json_decref(found);
	json_decref(calls);
}

/* Every message in words, as the log and the shell have it. */
static void format_all(const struct mt_diags *d)
{
	char text[1024];

	for (uint32_t i = 0; i < d->n; i++)
		MT_ASSERT(mt_diag_format(&d->items[i], text, sizeof(text)) > 0);
}

static void publish(struct mt_snapshot *s)
{
	struct mt_conf_change change;
	struct mt_err err = {""};
	char text[512];

	if (mt_conf_publish(node.conf, s, node.now, &change, &err)) {
		fprintf(stderr, "not published: %s\n", err.text);
		abort();
	}
	mt_conf_change_str(&change, text, sizeof(text));
	mt_conf_reap(node.conf, node.now);
}

static void answer(const struct mt_object_table *t, uint32_t rounds)
{
	uint32_t counts[MT_OBJECT_STATUSES];

	mt_table_counts(t, counts);
	printf("loaded rounds=%u node=%s", rounds, t->node_refused ? "refused" : "used");
	for (uint32_t i = 0; i < MT_OBJECT_STATUSES; i++)
		printf(" %s=%u", mt_object_status_str(i), counts[i]);
	putchar('\n');
}

static void compile(struct mt_object_table *t, uint32_t n_read)
{
	const struct mt_model_names names = {node.look_up ? find_name : NULL, NULL};
	struct mt_audit audit = {0};
	struct mt_snapshot *s;
	uint32_t rounds = 0;

	mt_region_init(&audit.region, 0);
	mt_conf_set_audit(node.conf, &audit);
	hold(t);
	s = checked_compile(node.conf, t, names, &diags, node.now, &rounds);
	mt_conf_set_audit(node.conf, NULL);
	MT_ASSERT(rounds <= REFUSALS);
	if (s) {
		mt_table_finish(t, &diags);
		checked_rows(t, n_read);
		mt_table_touch(t);
		if (node.shows)
			show(t, s);
		else
			draw(s);
		analyse(t, &audit, s);
		publish(s);
		MT_ASSERT(mt_kept_update(node.kept, t, WALL) == 0);
	}
	format_all(&diags);
	if (!node.shows)
		answer(t, rounds);
	else if (!s)
		show(t, NULL);
	mt_region_fini(&audit.region);
}

static bool has_node(void)
{
	for (uint32_t i = 0; i < reading.objects.n; i++)
		if (reading.objects.v[i]->is_node)
			return true;
	return false;
}

static void begin_set(void)
{
	mt_diags_init(&diags);
	reading = (struct mt_source_reading){0};
	n_files = 0;
}

static void end_set(void)
{
	mt_source_reading_fini(&reading);
	mt_diags_fini(&diags);
}

static void add_file(const struct mt_source_place *place, const char *file, const char *text)
{
	uint32_t n;

	MT_ASSERT(mt_source_objects(&reading.objects, &diags, place, file, 1, text, &n) == 0);
}

static void load(void)
{
	struct mt_object_table *t;
	uint32_t n_read;

	if (!has_node())
		add_file(&mt_source_anywhere, "node", some_node);
	n_read = reading.objects.n;
	mt_kept_clock(node.kept, WALL);
	t = mt_table_new(&reading, node.kept);
	MT_ASSERT(t);
	compile(t, n_read);
	node.now += MT_SEC;
	mt_table_free(t);
	end_set();
	begin_set();
	start_timer();
}

/* ---- the input --------------------------------------------------------------------------------------- */

static void stop(void)
{
	if (node.conf)
		mt_conf_destroy(node.conf);
	mt_kept_free(node.kept);
	node.conf = NULL;
	node.kept = NULL;
}

static void start(const char *flags)
{
	const struct mt_conf_options options = {.workers = 1, .asks = true};
	struct mt_err err;

	stop();
	node.identity = strchr(flags, 'i') != NULL;
	node.look_up = strchr(flags, 'l') != NULL;
	node.now = START;
	node.loads = 0;
	node.conf = mt_conf_create(&options, &err);
	node.kept = mt_kept_open(NULL, true);
	MT_ASSERT(node.conf && node.kept);
	if (node.identity)
		mt_conf_set_identity(node.conf, pki()->alice);
}

static bool take_file(const struct mt_source_place *place, size_t size)
{
	char *text = malloc(size + 1), file[32];
	bool whole = text && fread(text, 1, size, stdin) == size;

	snprintf(file, sizeof(file), "f%04u.yaml", n_files++);
	if (whole) {
		text[size] = '\0';
		add_file(place, file, text);
	}
	free(text);
	return whole;
}

/* As when a file of that name cannot be read: what was in it may still be there. */
static void take_partial(uint32_t number)
{
	char file[32];

	snprintf(file, sizeof(file), "f%04u.yaml", number);
	MT_ASSERT(mt_reading_partial(&reading, file) == 0);
}

static bool take(const char *line)
{
	char ns[256], flags[16] = "";
	struct mt_source_place place = mt_source_anywhere;
	uint32_t number;
	size_t size;

	if (strcmp(line, "load\n") == 0 || strcmp(line, "show\n") == 0) {
		node.shows = *line == 's';
		load();
		return true;
	}
	if (strncmp(line, "start", 5) == 0) {
		(void)sscanf(line, "start %15s", flags);
		start(flags);
		return true;
	}
	if (sscanf(line, "partial %u", &number) == 1) {
		take_partial(number);
		return true;
	}
	if (sscanf(line, "mesh %zu", &size) == 1) {
		place.mesh_config = true;
		return take_file(&place, size);
	}
	if (sscanf(line, "text %255s %zu", ns, &size) != 2)
		return false;
	place.ns = strcmp(ns, "-") == 0 ? NULL : ns;
	return take_file(&place, size);
}

/* pki.c belongs to the unit tests; what must hold there must hold here. */
CU_BOOL CU_assertImplementation(CU_BOOL holds, unsigned int line, const char *condition,
	const char *file, const char *function, CU_BOOL fatal)
{
	(void)function;
	(void)fatal;
	if (!holds) {
		fprintf(stderr, "%s:%u: %s\n", file, line, condition);
		abort();
	}
	return holds;
}

int main(void)
{
	char *line = NULL;
	size_t cap = 0;
	int rc = 0;

	/* Several programs answer for documents that are compared. */
	mt_secret_hash_set_key((const uint8_t[16]){1});
	setvbuf(stdout, NULL, _IOLBF, 0);
	MT_ASSERT(signal(SIGPROF, too_long) != SIG_ERR);
	start_timer();
	start("");
	begin_set();
	while (rc == 0 && getline(&line, &cap, stdin) > 0)
		if (!take(line)) {
			fprintf(stderr, "not understood: %s", line);
			rc = 2;
		}
	end_set();
	stop();
	pki_end();
	free(line);
	return rc;
}
