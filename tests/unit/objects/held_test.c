/* SPDX-License-Identifier: Apache-2.0 */
/* What goes on where the newest version cannot be used, and what does not come back. */
#include "objects_test.h"

#include <sys/stat.h>
#include <unistd.h>

/* Each step with and without a restart between: `again` says which. */
static void next(struct scene *sc, bool again)
{
	if (again)
		scene_restart(sc);
	scene_load(sc);
}

static void a_bad_edit(bool again)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml", SERVICE("a", "x", "198.51.100.1"));
	scene_write(&sc, "b.yaml", SERVICE("b", "x", "198.51.100.2"));
	next(&sc, again);
	IS_STATUS(&sc, "ServiceEntry", "a", "in-force");
	/* Illegible, wrong in a field, wrong together with the others; b goes on changing meanwhile. */
	scene_write(&sc, "a.yaml", ISTIO("ServiceEntry", "a", "x") "  hosts: [\n");
	scene_write(&sc, "b.yaml", SERVICE("b", "x", "198.51.100.3"));
	next(&sc, again);
	IS_STATUS(&sc, "ServiceEntry", "a", "last-good");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
	IS_STATUS(&sc, "ServiceEntry", "b", "in-force");
	scene_write(&sc, "a.yaml", SERVICE("a", "x", "198.51.100.1") "  surprise: 1\n");
	next(&sc, again);
	IS_STATUS(&sc, "ServiceEntry", "a", "last-good");
	CU_ASSERT_PTR_NOT_NULL(
		strstr(scene_row(&sc, "ServiceEntry", "a")->why, "spec.surprise: unknown field"));
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
	scene_write(&sc, "a.yaml", SERVICE("a", "x", "127.0.0.1"));
	next(&sc, again);
	IS_STATUS(&sc, "ServiceEntry", "a", "last-good");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
	CU_ASSERT_TRUE(mt_table_has_trouble(sc.t));
	scene_write(&sc, "a.yaml", SERVICE("a", "x", "198.51.100.9"));
	next(&sc, again);
	IS_STATUS(&sc, "ServiceEntry", "a", "in-force");
	CU_ASSERT_FALSE(mt_table_has_trouble(sc.t));
	/* Deleted is deleted. */
	scene_write(&sc, "a.yaml", NULL);
	next(&sc, again);
	IS_STATUS(&sc, "ServiceEntry", "a", "");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), -1);
	scene_write(&sc, "a.yaml", ISTIO("ServiceEntry", "a", "x") "  hosts: [\n");
	next(&sc, again);
	IS_STATUS(&sc, "ServiceEntry", "a", "refused");
	scene_end(&sc);
}

/* After a restart the kept version of an unchanged document is not parsed: it is what was read. */
static void unchanged(void)
{
	const struct mt_object_row *row;
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml", SERVICE("a", "x", "198.51.100.1"));
	scene_load(&sc);
	next(&sc, true);
	row = scene_row(&sc, "ServiceEntry", "a");
	CU_ASSERT_PTR_NOT_NULL_FATAL(row);
	CU_ASSERT_PTR_EQUAL(row->good, row->o);
	scene_write(&sc, "a.yaml", SERVICE("a", "x", "198.51.100.2"));
	next(&sc, true);
	row = scene_row(&sc, "ServiceEntry", "a");
	CU_ASSERT_PTR_NOT_NULL_FATAL(row);
	CU_ASSERT(row->good && row->good != row->o);
	scene_end(&sc);
}

static void bad_edits(void)
{
	a_bad_edit(false);
	a_bad_edit(true);
}

/* A file of which nobody can tell what is in it takes nothing away, and neither does one that is empty or gone unread. */
static void what_cannot_be_looked_for(bool again)
{
	struct scene sc;
	char path[64];

	scene_begin(&sc);
	scene_write(&sc, "a.yaml",
		SERVICE("a", "x", "198.51.100.1") "---\n" SERVICE("c", "x", "198.51.100.4"));
	scene_write(&sc, "b.yaml", SERVICE("b", "x", "198.51.100.2"));
	next(&sc, again);
	/* c is legibly there: only a is missing. */
	scene_write(&sc, "a.yaml", "x: [\n---\n" SERVICE("c", "x", "198.51.100.4"));
	next(&sc, again);
	IS_STATUS(&sc, "ServiceEntry", "a", "last-good");
	IS_STATUS(&sc, "ServiceEntry", "c", "in-force");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
	CU_ASSERT_TRUE(scene_row(&sc, "ServiceEntry", "a")->absent);
	scene_write(&sc, "a.yaml", "");
	next(&sc, again);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "c.x"), 1);
	/* The other file's object left with its file: it was read whole. */
	scene_write(&sc, "b.yaml", NULL);
	next(&sc, again);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "b.x"), -1);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
	/* A directory that is not there deletes nothing. */
	scene_write(&sc, "a.yaml", SERVICE("a", "x", "198.51.100.1"));
	next(&sc, again);
	snprintf(path, sizeof(path), "%s/sub", sc.dir);
	CU_ASSERT_EQUAL(mkdir(path, 0755), 0);
	scene_write(&sc, "sub/d.yaml", SERVICE("d", "x", "198.51.100.5"));
	next(&sc, again);
	IS_STATUS(&sc, "ServiceEntry", "d", "in-force");
	scene_write(&sc, "sub/d.yaml", NULL);
	CU_ASSERT_EQUAL(rmdir(path), 0);
	next(&sc, again);
	IS_STATUS(&sc, "ServiceEntry", "d", "");
	scene_end(&sc);
}

static void not_looked_for(void)
{
	what_cannot_be_looked_for(false);
	what_cannot_be_looked_for(true);
}

/* Elsewhere with the same content is a move; with other content the older one counts. */
static void twice(void)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml", SERVICE("a", "x", "198.51.100.1"));
	scene_load(&sc);
	scene_write(&sc, "b.yaml", SERVICE("a", "x", "198.51.100.1") "status: {x: 1}\n");
	scene_load(&sc);
	CU_ASSERT_EQUAL(sc.t->n, 2);
	CU_ASSERT_EQUAL(scene_row(&sc, "ServiceEntry", "a")->n_origins, 1);
	scene_write(&sc, "a.yaml", NULL);
	scene_load(&sc);
	IS_STATUS(&sc, "ServiceEntry", "a", "in-force");
	scene_write(&sc, "a.yaml",
		"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a, "
		"namespace: x, "
		"creationTimestamp: '2026-01-02T03:04:05Z'}\nspec:\n  hosts: [a.x]\n"
		"  ports: [{number: 80, name: tcp-metaprotocol-dubbo}]\n  resolution: STATIC\n"
		"  endpoints: [{address: 198.51.100.1}, {address: 198.51.100.2}]\n");
	scene_load(&sc);
	/* b.yaml says no time: the oldest there is. */
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
	CU_ASSERT_EQUAL(sc.t->n, 3);
	CU_ASSERT_EQUAL(sc.t->rows[2].status, MT_OBJECT_REFUSED);
	/* The loser's last good version is not the winner's: it is not used. */
	CU_ASSERT_PTR_NULL(sc.t->rows[2].used);
	/* Both of what protects. */
	scene_write(
		&sc, "p.yaml", SECURITY("PeerAuthentication", "p", "x", "{mtls: {mode: STRICT}}"));
	scene_write(&sc, "q.yaml",
		SECURITY("PeerAuthentication", "p", "x", "{mtls: {mode: PERMISSIVE}}"));
	scene_load(&sc);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), -2);
	/* An illegible copy of what stands legibly elsewhere is only refused. */
	scene_write(&sc, "c.yaml", ISTIO("ServiceEntry", "a", "x") "  hosts: [\n");
	scene_load(&sc);
	IS_STATUS(&sc, "ServiceEntry", "a", "in-force-with-notes");
	CU_ASSERT_EQUAL(sc.t->n, 6);
	scene_end(&sc);
}

/*
 * Two policies and two services. The sums of the 64-bit hashes of the fields are equal in each pair,
 * as labels make them: they were the hash of a document once.
 */
#define FORGED_POLICY(label, rules)                                                                \
	"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, "        \
	"namespace: x, labels: {n: \"" label "\"}}\nspec: {rules: [" rules "]}\n"
#define FROM(principal) "{from: [{source: {principals: [" principal "]}}]}"
#define FORGED_SERVICE(label, address, other)                                                      \
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a, namespace: "  \
	"x, labels: {n: \"" label "\"}}\nspec: {hosts: [a.x], ports: [{number: 80, name: "         \
	"tcp-metaprotocol-dubbo}], location: MESH_INTERNAL, resolution: STATIC, endpoints: "       \
	"[{address: " address ", labels: {n: \"" other "\"}}]}\n"
#define STRICT_POLICY FORGED_POLICY("79255", FROM("cluster.local/ns/x/sa/3522491"))
#define OPEN_POLICY   FORGED_POLICY("8344987", FROM("'*'") ", " FROM("cluster.local/ns/x/sa/3781864"))
#define OLD_SERVICE   FORGED_SERVICE("3159065", "198.51.100.1", "2868898")
#define NEW_SERVICE   FORGED_SERVICE("6461898", "198.51.100.2", "74725")

static void one_name_and_a_forged_hash(void)
{
	const struct mt_object_row *row;
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml", OLD_SERVICE);
	scene_write(&sc, "b.yaml", NEW_SERVICE);
	scene_write(&sc, "p.yaml", STRICT_POLICY);
	scene_write(&sc, "q.yaml", OPEN_POLICY);
	scene_load(&sc);
	CU_ASSERT_EQUAL_FATAL(sc.t->n, 5);
	for (uint32_t i = 0; i < sc.t->n; i++)
		CU_ASSERT_EQUAL(sc.t->rows[i].n_origins, 0);
	/* Of services one is used and one refused; of policies a call must pass both. */
	row = scene_row(&sc, "ServiceEntry", "a");
	CU_ASSERT_PTR_EQUAL(row[0].used, row[0].o);
	CU_ASSERT_EQUAL(row[1].status, MT_OBJECT_REFUSED);
	row = scene_row(&sc, "AuthorizationPolicy", "p");
	CU_ASSERT_PTR_EQUAL(row[0].used, row[0].o);
	CU_ASSERT_PTR_EQUAL(row[1].used, row[1].o);
	CU_ASSERT_PTR_NOT_NULL_FATAL(row[1].why);
	CU_ASSERT_PTR_NOT_NULL(strstr(row[1].why, "a call must pass both"));
	scene_end(&sc);
}

char *mt_document_text(const struct mt_ynode *root);

/* The last good version is the new one, and not the older one of the same forged hash. */
static void a_forged_hash_is_kept(void)
{
	struct scene sc;
	char *text;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml", OLD_SERVICE);
	scene_load(&sc);
	scene_write(&sc, "a.yaml", NEW_SERVICE);
	scene_load(&sc);
	scene_write(&sc, "a.yaml", ISTIO("ServiceEntry", "a", "x") "  hosts: [\n");
	scene_restart(&sc);
	scene_load(&sc);
	IS_STATUS(&sc, "ServiceEntry", "a", "last-good");
	text = mt_document_text(scene_row(&sc, "ServiceEntry", "a")->used->root);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "198.51.100.2"));
	free(text);
	scene_end(&sc);
}

/* An exemption of one content is not one of another with the same forged hash. */
static void a_forged_hash_is_not_exempt(void)
{
	char text[600], hash[MT_CONTENT_HASH_TEXT];
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "p.yaml", OPEN_POLICY);
	scene_load(&sc);
	mt_content_hash_str(&scene_row(&sc, "AuthorizationPolicy", "p")->o->hash, hash);
	snprintf(text, sizeof(text),
		"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"
		"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]\n"
		"  sources: [{directory: .}]\n"
		"  unenforced: [{kind: AuthorizationPolicy, namespace: x, name: p, hash: \"%s\", "
		"until: 2099-12-31, because: tests}]\n",
		hash);
	scene_write(&sc, "0-node.yaml", text);
	scene_load(&sc);
	CU_ASSERT(scene_row(&sc, "AuthorizationPolicy", "p")->unenforced);
	scene_write(&sc, "p.yaml", STRICT_POLICY);
	scene_load(&sc);
	CU_ASSERT_FALSE(scene_row(&sc, "AuthorizationPolicy", "p")->unenforced);
	scene_end(&sc);
}

#define PROTOCOL(name)                                                                             \
	"apiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: ApplicationProtocol\nmetadata: "       \
	"{name: "                                                                                  \
	"d}\nspec: {protocol: " name ", codec: aeraki.meta_protocol.codec.dubbo}\n"
#define SPLIT(more)                                                                                \
	ISTIO("VirtualService", "r", "x")                                                          \
	"  hosts: [a.x]\n  p1: [{route: [{destination: {host: a.x}}]}]\n"                          \
	"  http: [{route: [{destination: {host: a.x}}]}]\n" more

/* What is held asks for what another document does not have any more: it costs nobody else, and is not served either. */
static void held_and_out_of_place(bool again)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml", SERVICE("a", "x", "198.51.100.1"));
	scene_write(&sc, "d.yaml", PROTOCOL("p1"));
	scene_write(&sc, "r.yaml", SPLIT(""));
	next(&sc, again);
	IS_STATUS(&sc, "VirtualService", "r", "in-force");
	scene_write(&sc, "r.yaml", SPLIT("  surprise: 1\n"));
	next(&sc, again);
	IS_STATUS(&sc, "VirtualService", "r", "last-good");
	scene_write(&sc, "d.yaml", PROTOCOL("p2"));
	next(&sc, again);
	CU_ASSERT_PTR_NOT_NULL(sc.s);
	IS_STATUS(&sc, "VirtualService", "r", "refused");
	IS_STATUS(&sc, "ApplicationProtocol", "d", "in-force");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
	scene_write(&sc, "d.yaml", PROTOCOL("p1"));
	next(&sc, again);
	IS_STATUS(&sc, "VirtualService", "r", "last-good");
	scene_end(&sc);
}

static void held_ones_out_of_place(void)
{
	held_and_out_of_place(false);
	held_and_out_of_place(true);
}

/* The last good version is the identity's, and its first row has it: it is not used once more for a copy that is wrong. */
static void a_copy_that_is_wrong(void)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml", SERVICE("a", "x", "198.51.100.1"));
	scene_write(&sc, "d.yaml", PROTOCOL("p1"));
	scene_write(&sc, "r.yaml", SPLIT(""));
	scene_load(&sc);
	for (int i = 0; i < 16; i++) {
		uint32_t refused = 0, used = 0;
		char text[600];

		/* Whichever of them sorts first. */
		snprintf(text, sizeof(text), "%s  surprise%d: 1\n", SPLIT(""), i);
		scene_write(&sc, "s.yaml", text);
		scene_load(&sc);
		CU_ASSERT_PTR_NOT_NULL(sc.s);
		for (uint32_t k = 0; k < sc.t->n; k++)
			if (strcmp(sc.t->rows[k].o->kind, "VirtualService") == 0) {
				refused += sc.t->rows[k].status == MT_OBJECT_REFUSED &&
					   strstr(sc.t->rows[k].why, "surprise");
				used += sc.t->rows[k].used != NULL;
			}
		CU_ASSERT_EQUAL(refused, 1);
		CU_ASSERT_EQUAL(used, 1);
	}
	scene_end(&sc);
}

/* What restricts goes on restricting by its last good version, and when there is none, by its namespace. */
static void a_restriction_that_is_broken(bool again)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml", SERVICE("a", "x", "198.51.100.1"));
	scene_write(&sc, "p.yaml",
		SECURITY("PeerAuthentication", "p", "x", "{mtls: {mode: PERMISSIVE}}"));
	next(&sc, again);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
	/* The last good one let everybody in. */
	scene_write(&sc, "p.yaml",
		"apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata:\n  name: p\n"
		"  namespace: x\nspec: {mtls: {{\n");
	next(&sc, again);
	IS_STATUS(&sc, "PeerAuthentication", "p", "last-good");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
	scene_write(
		&sc, "p.yaml", SECURITY("PeerAuthentication", "p", "x", "{mtls: {mode: STRICT}}"));
	next(&sc, again);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), -2);
	scene_write(&sc, "p.yaml",
		"apiVersion: security.istio.oi/v1\nkind: PeerAuthentication\n"
		"metadata: {name: p, namespace: x}\nspec: {mtls: {mode: PERMISSIVE}}\n");
	next(&sc, again);
	IS_STATUS(&sc, "PeerAuthentication", "p", "last-good");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), -2);
	scene_write(&sc, "p.yaml", "");
	next(&sc, again);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), -2);
	scene_write(&sc, "p.yaml", "{{");
	next(&sc, again);
	IS_STATUS(&sc, "PeerAuthentication", "p", "last-good");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), -2);
	scene_write(&sc, "p.yaml", NULL);
	next(&sc, again);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
	scene_end(&sc);
}

static void broken_restrictions(void)
{
	a_restriction_that_is_broken(false);
	a_restriction_that_is_broken(true);
}

static void forgotten(void)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml", SERVICE("a", "x", "198.51.100.1"));
	scene_load(&sc);
	scene_write(&sc, "a.yaml", SERVICE("a", "x", "127.0.0.1"));
	scene_load(&sc);
	IS_STATUS(&sc, "ServiceEntry", "a", "last-good");
	CU_ASSERT_FALSE(mt_kept_forget(sc.kept, "ServiceEntry", "y", "a"));
	CU_ASSERT_TRUE(mt_kept_forget(sc.kept, "ServiceEntry", "x", "a"));
	scene_load(&sc);
	IS_STATUS(&sc, "ServiceEntry", "a", "refused");
	scene_restart(&sc);
	scene_load(&sc);
	IS_STATUS(&sc, "ServiceEntry", "a", "refused");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), -1);
	scene_end(&sc);
}

/* A name with line ends, whose last lines are those of another object, is not that object. */
static void forgotten_by_its_fields(void)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "b.yaml",
		"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {namespace: x, "
		"name: \"b\\nServiceEntry\\nx\\na\"}\nspec: {hosts: [b.x], ports: [{number: 80, "
		"name: tcp}], resolution: STATIC, endpoints: [{address: 198.51.100.1}]}\n");
	scene_load(&sc);
	CU_ASSERT_EQUAL(mt_kept_count(sc.kept), 1);
	CU_ASSERT_FALSE(mt_kept_forget(sc.kept, "ServiceEntry", "x", "a"));
	CU_ASSERT_EQUAL(mt_kept_count(sc.kept), 1);
	CU_ASSERT_TRUE(mt_kept_forget(sc.kept, "ServiceEntry", "x", "b\nServiceEntry\nx\na"));
	CU_ASSERT_EQUAL(mt_kept_count(sc.kept), 0);
	scene_end(&sc);
}

/* Half a line at the end, rubbish in between, a directory in its place: what can be read counts, and nothing fails. */
static void a_damaged_file(void)
{
	struct scene sc;
	char path[80];
	FILE *f;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml", SERVICE("a", "x", "198.51.100.1"));
	scene_load(&sc);
	snprintf(path, sizeof(path), "%s/objects.jsonl", sc.state);
	f = fopen(path, "a");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs("\n{\"object\": 7}\nrubbish\n{\"object\": \"documents\\nx", f);
	fclose(f);
	scene_write(&sc, "b.yaml", SERVICE("b", "x", "198.51.100.2"));
	scene_restart(&sc);
	scene_load(&sc);
	scene_write(&sc, "a.yaml", SERVICE("a", "x", "127.0.0.1"));
	scene_write(&sc, "b.yaml", SERVICE("b", "x", "127.0.0.1"));
	scene_restart(&sc);
	scene_load(&sc);
	IS_STATUS(&sc, "ServiceEntry", "a", "last-good");
	IS_STATUS(&sc, "ServiceEntry", "b", "last-good");
	scene_end(&sc);
}

#define AGED(name, year, spec)                                                                     \
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: " name           \
	", namespace: x, creationTimestamp: \"" year "-01-01T00:00:00Z\"}\nspec:\n"                \
	"  hosts: [" name ".x]\n  ports: [{number: 80, name: tcp}]\n  resolution: STATIC\n" spec

/* The last good version stands there as well, as the younger one of the name: what is wrong with it is its user's. */
static void held_beside_itself(void)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml", AGED("a", "2020", "  endpoints: [{address: 198.51.100.1}]\n"));
	scene_load(&sc);
	scene_write(&sc, "b.yaml", AGED("a", "2010", "  endpoints: [{address: 127.0.0.1}]\n"));
	scene_load(&sc);
	IS_STATUS(&sc, "ServiceEntry", "a", "last-good");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
	scene_write(&sc, "0-node.yaml",
		"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"
		"  ports: [{name: p0, device: net_null0, addresses: [198.51.100.1/24]}]\n");
	scene_load(&sc);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc.s);
	IS_STATUS(&sc, "ServiceEntry", "a", "refused");
	scene_end(&sc);
}

/* In force, and refused later for what somebody else says: the version before it goes on, and takes no more room each time. */
static void refused_later(void)
{
	struct scene sc;
	struct mt_object_row *row;
	struct mt_model *m;
	uint32_t objects;
	int rc;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml",
		AGED("a", "2020",
			"  endpoints: [{address: 198.51.100.1}, {address: 198.51.100.2}]\n"));
	scene_load(&sc);
	scene_write(&sc, "a.yaml", AGED("a", "2020", "  endpoints: [{address: 198.51.100.3}]\n"));
	scene_load(&sc);
	row = (struct mt_object_row *)scene_row(&sc, "ServiceEntry", "a");
	CU_ASSERT_PTR_NOT_NULL_FATAL(row);
	objects = sc.t->objects.n;
	for (int i = 0; i < 3; i++) {
		struct mt_diags diags;

		mt_table_reset(sc.t);
		CU_ASSERT_PTR_EQUAL(row->used, row->o);
		mt_diags_init(&diags);
		mt_diag_add(&diags, MT_DIAG_ERROR, row->o->origin, NULL, NULL, "said by others");
		diags.items[0].object = row->o->serial;
		CU_ASSERT_TRUE(mt_table_refuse(sc.t, &diags));
		CU_ASSERT_EQUAL(row->status, MT_OBJECT_LAST_GOOD);
		m = mt_table_model(sc.t, &rc);
		CU_ASSERT_PTR_NOT_NULL_FATAL(m);
		CU_ASSERT_EQUAL_FATAL(m->service_entries.n, 1);
		CU_ASSERT_EQUAL(
			((struct mt_service_entry *)m->service_entries.v[0])->n_endpoints, 2);
		CU_ASSERT_EQUAL(sc.t->objects.n, objects);
		mt_diags_fini(&diags);
	}
	scene_end(&sc);
}

/* Whose directory was written by a clock that is ahead of ours: nothing changed while it was read, so what is gone is gone. */
static void a_directory_of_tomorrow(void)
{
	struct scene sc;
	char cmd[80];

	scene_begin(&sc);
	scene_write(&sc, "a.yaml", SERVICE("a", "x", "198.51.100.1"));
	scene_load(&sc);
	scene_write(&sc, "a.yaml", NULL);
	snprintf(cmd, sizeof(cmd), "touch -d tomorrow %s", sc.dir);
	CU_ASSERT_EQUAL(system(cmd), 0);
	scene_load(&sc);
	scene_load(&sc);
	IS_STATUS(&sc, "ServiceEntry", "a", "");
	CU_ASSERT_EQUAL(sc.t->n_files_bad, 0);
	scene_end(&sc);
}

/* A directory that changes during a load is no trouble, because it is read again; an unreadable file is. */
static void a_directory_that_is_written(void)
{
	for (uint32_t changing = 0; changing < 2; changing++) {
		struct mt_source_reading r = {.n_changing = changing};
		struct mt_kept *kept = mt_kept_open(NULL, false);
		struct mt_object_table *t;

		CU_ASSERT_EQUAL(mt_reading_partial(&r, "/etc/meltemi/services"), 0);
		t = mt_table_new(&r, kept);
		CU_ASSERT_TRUE(mt_table_may_hold(t, "/etc/meltemi/services/a.yaml"));
		CU_ASSERT_EQUAL(mt_table_has_trouble(t), changing == 0);
		mt_table_free(t);
		mt_source_reading_fini(&r);
		mt_kept_free(kept);
	}
}

/* The only file of all is gone, be it that its directory is replaced: of everything in it the last good version is there. */
static void all_that_there_was(void)
{
	struct scene sc;
	char text[64 * 600], path[80];
	size_t len = 0;
	FILE *f;

	scene_begin(&sc);
	snprintf(path, sizeof(path), "%s/0-node.yaml", sc.dir);
	for (int i = 0; i < 60; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
			"---\n" SERVICE("s%d", "x", "198.51.100.%d"), i, i, i + 1);
	f = fopen(path, "a");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
	scene_load_node(&sc);
	CU_ASSERT_EQUAL(sc.t->n, 61);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "s59.x"), 1);
	scene_write(&sc, "0-node.yaml", NULL);
	scene_load_node(&sc);
	CU_ASSERT_TRUE(sc.t->node_refused);
	CU_ASSERT_EQUAL(sc.t->n, 60);
	CU_ASSERT(sc.t->cap >= sc.t->n);
	for (uint32_t i = 0; i < sc.t->n; i++) {
		CU_ASSERT_EQUAL(sc.t->rows[i].status, MT_OBJECT_LAST_GOOD);
		CU_ASSERT_TRUE(sc.t->rows[i].absent);
	}
	scene_end(&sc);
}

/* The Node, with sources of these names below the scene's directory; NULL: none. */
static void name_sources(struct scene *sc, const char *one, const char *other)
{
	char text[400];
	int n = snprintf(text, sizeof(text),
		"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"
		"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]\n"
		"  sources: [{directory: %s/%s}",
		sc->dir, one);

	if (other)
		n += snprintf(
			text + n, sizeof(text) - (size_t)n, ", {directory: %s/%s}", sc->dir, other);
	snprintf(text + n, sizeof(text) - (size_t)n, "]\n");
	scene_write(sc, "0-node.yaml", text);
}

static void next_node(struct scene *sc, bool again)
{
	if (again)
		scene_restart(sc);
	scene_load_node(sc);
}

/* The warning about the directory, which is there once. */
static uint32_t warnings_of(const struct scene *sc, const char *name)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < sc->diags.n; i++)
		n += sc->diags.items[i].severity == MT_DIAG_WARNING &&
		     strstr(sc->diags.items[i].origin.file, name) &&
		     strcmp(sc->diags.items[i].message,
			     "no object is removed until it can be read") == 0;
	return n;
}

#define SECRET                                                                                     \
	"apiVersion: v1\nkind: Secret\nmetadata: {name: pair, namespace: x}\n"                     \
	"type: kubernetes.io/tls\ndata: {tls.crt: eA==, tls.key: eA==}\n"

/*
 * A misspelled source of the Node removes nothing, not even an object whose own file was read
 * without it; the corrected one removes as usual, and so does a Node that does not name it.
 */
static void a_misspelled_source(bool again)
{
	const struct mt_object_row *row;
	struct scene sc;
	char path[64];

	scene_begin(&sc);
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", sc.dir, i ? "other" : "one");
		CU_ASSERT_EQUAL(mkdir(path, 0755), 0);
	}
	scene_write(&sc, "one/a.yaml", SERVICE("a", "x", "198.51.100.1") "---\n" SECRET);
	scene_write(&sc, "other/b.yaml", SERVICE("b", "x", "198.51.100.2"));
	name_sources(&sc, "one", "other");
	next_node(&sc, again);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
	CU_ASSERT_FALSE(mt_table_may_hold(sc.t, "/nowhere/z.yaml"));
	for (int i = 0; i < 3; i++) {
		name_sources(&sc, "onez", "other");
		if (i == 1)
			scene_write(&sc, "other/b.yaml", NULL);
		next_node(&sc, again);
		IS_STATUS(&sc, "ServiceEntry", "a", "last-good");
		IS_STATUS(&sc, "ServiceEntry", "b", i ? "last-good" : "in-force");
		IS_STATUS(&sc, "Secret", "pair", again ? "" : "last-good");
		CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
		CU_ASSERT_EQUAL(scene_endpoints(&sc, "b.x"), 1);
		CU_ASSERT_EQUAL(warnings_of(&sc, "/onez"), 1);
		row = scene_row(&sc, "ServiceEntry", "a");
		CU_ASSERT(row && row->why && strstr(row->why, "/onez cannot be read"));
		CU_ASSERT_TRUE(mt_table_may_hold(sc.t, "/nowhere/z.yaml"));
	}
	name_sources(&sc, "one", "other");
	next_node(&sc, again);
	IS_STATUS(&sc, "ServiceEntry", "a", "in-force");
	IS_STATUS(&sc, "ServiceEntry", "b", "");
	CU_ASSERT_FALSE(mt_table_has_trouble(sc.t));
	name_sources(&sc, "onez", "other");
	next_node(&sc, again);
	IS_STATUS(&sc, "ServiceEntry", "a", "last-good");
	name_sources(&sc, "other", NULL);
	next_node(&sc, again);
	IS_STATUS(&sc, "ServiceEntry", "a", "");
	IS_STATUS(&sc, "Secret", "pair", "");
	scene_end(&sc);
}

/* A Secret that was forgotten is not in use any more, though its directory cannot be read. */
static void a_forgotten_secret(void)
{
	struct scene sc;
	char path[64];

	scene_begin(&sc);
	snprintf(path, sizeof(path), "%s/one", sc.dir);
	CU_ASSERT_EQUAL(mkdir(path, 0755), 0);
	scene_write(&sc, "one/a.yaml", SECRET);
	name_sources(&sc, "one", NULL);
	next_node(&sc, false);
	CU_ASSERT_PTR_NOT_NULL(scene_row(&sc, "Secret", "pair"));
	name_sources(&sc, "onez", NULL);
	next_node(&sc, false);
	IS_STATUS(&sc, "Secret", "pair", "last-good");
	CU_ASSERT_TRUE(mt_kept_forget(sc.kept, "Secret", "x", "pair"));
	for (int i = 0; i < 2; i++) {
		next_node(&sc, false);
		IS_STATUS(&sc, "Secret", "pair", "");
	}
	CU_ASSERT_FALSE(mt_kept_forget(sc.kept, "Secret", "x", "pair"));
	name_sources(&sc, "one", NULL);
	next_node(&sc, false);
	CU_ASSERT_PTR_NOT_NULL(scene_row(&sc, "Secret", "pair"));
	scene_end(&sc);
}

static void misspelled_sources(void)
{
	a_misspelled_source(false);
	a_misspelled_source(true);
}

/* A misspelled MeshConfig removes neither the last one nor anything else. */
static void a_misspelled_mesh_config(void)
{
	static const char node[] =
		"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"
		"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]\n"
		"  mesh: {config: %s/.mesh%s.yaml}\n  sources: [{directory: %s/one}]\n";
	struct scene sc;
	char text[500], path[64];

	scene_begin(&sc);
	snprintf(path, sizeof(path), "%s/one", sc.dir);
	CU_ASSERT_EQUAL(mkdir(path, 0755), 0);
	scene_write(&sc, "one/a.yaml", SERVICE("a", "x", "198.51.100.1"));
	scene_write(&sc, ".mesh.yaml", "rootNamespace: top\n");
	for (int i = 0; i < 2; i++) {
		snprintf(text, sizeof(text), node, sc.dir, i ? "z" : "", sc.dir);
		scene_write(&sc, "0-node.yaml", text);
		if (i)
			scene_write(&sc, "one/a.yaml", NULL);
		scene_load_node(&sc);
		IS_STATUS(&sc, "MeshConfig", "mesh", i ? "last-good" : "in-force");
		CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
		CU_ASSERT_EQUAL(warnings_of(&sc, "/.meshz.yaml"), i);
	}
	scene_end(&sc);
}

/* The file is written anew when most of it is stale, and says the same. */
static void the_file_stays_small(void)
{
	struct scene sc;
	struct stat st;
	char path[80], text[600];

	scene_begin(&sc);
	snprintf(path, sizeof(path), "%s/objects.jsonl", sc.state);
	for (int i = 0; i < 2500; i++) {
		snprintf(text, sizeof(text), SERVICE("a", "x", "198.51.100.%d"), i % 250 + 1);
		scene_write(&sc, "a.yaml", text);
		scene_load(&sc);
	}
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT(st.st_size < 1100 * 700);
	scene_write(&sc, "a.yaml", SERVICE("a", "x", "127.0.0.1"));
	scene_restart(&sc);
	scene_load(&sc);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
	scene_end(&sc);
}

const struct mt_test held_tests[] = {
	{"bad_edits", bad_edits},
	{"unchanged", unchanged},
	{"not_looked_for", not_looked_for},
	{"twice", twice},
	{"one_name_and_a_forged_hash", one_name_and_a_forged_hash},
	{"a_forged_hash_is_kept", a_forged_hash_is_kept},
	{"a_forged_hash_is_not_exempt", a_forged_hash_is_not_exempt},
	{"held_ones_out_of_place", held_ones_out_of_place},
	{"a_copy_that_is_wrong", a_copy_that_is_wrong},
	{"broken_restrictions", broken_restrictions},
	{"forgotten", forgotten},
	{"forgotten_by_its_fields", forgotten_by_its_fields},
	{"a_damaged_file", a_damaged_file},
	{"held_beside_itself", held_beside_itself},
	{"a_directory_of_tomorrow", a_directory_of_tomorrow},
	{"a_directory_that_is_written", a_directory_that_is_written},
	{"refused_later", refused_later},
	{"all_that_there_was", all_that_there_was},
	{"misspelled_sources", misspelled_sources},
	{"a_forgotten_secret", a_forgotten_secret},
	{"a_misspelled_mesh_config", a_misspelled_mesh_config},
	{"the_file_stays_small", the_file_stays_small},
	{0},
};
