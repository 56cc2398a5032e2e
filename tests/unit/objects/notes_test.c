/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of an object in force, and what of it need not be told: only what a caller or an operator would see. */
#include "objects_test.h"

/* The only note of an object; "": there is none. */
static const char *note_of(const struct scene *sc, const char *kind, const char *name)
{
	const struct mt_object_row *row = scene_row(sc, kind, name);

	CU_ASSERT_PTR_NOT_NULL_FATAL(row);
	CU_ASSERT_TRUE(row->n_notes < 2);
	return row->n_notes ? row->notes[0].text : "";
}

#define BYTES(name, ns)                                                                            \
	ISTIO("ServiceEntry", name, ns)                                                            \
	"  hosts: [" name "." ns "]\n  ports: [{number: 80, name: tcp}]\n"                         \
	"  location: MESH_INTERNAL\n  resolution: STATIC\n  endpoints: [{address: "                \
	"198.51.100.9}]\n"
#define TO_A "tcp: [{route: [{destination: {host: a.x}}]}]\n"

/* A gateway of other nodes takes its part of the routes there; one that nobody has is a mistake. */
static void other_gateways(void)
{
	static const struct {
		const char *gateways, *status, *note;
	} rows[] = {{"[mesh, theirs]", "in-force", ""},
		{"[mesh, nobodys]", "in-force-with-notes", "no Gateway \"nobodys\" is served here"},
		{"[theirs]", "no-effect", ""}};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct scene sc;
		char text[1024];

		scene_begin(&sc);
		snprintf(text, sizeof(text),
			"%s---\n%s  selector: {istio: theirs}\n  servers: [{port: {number: 1, "
			"name: "
			"tcp, protocol: TCP}, hosts: ['*']}]\n---\n%s  hosts: [a.x]\n  gateways: "
			"%s\n  " TO_A,
			BYTES("a", "x"), ISTIO("Gateway", "theirs", "x"),
			ISTIO("VirtualService", "v", "x"), rows[i].gateways);
		scene_write(&sc, "a.yaml", text);
		scene_load(&sc);
		IS_STATUS(&sc, "Gateway", "theirs", "no-effect");
		IS_STATUS(&sc, "VirtualService", "v", rows[i].status);
		CU_ASSERT_PTR_NOT_NULL(strstr(note_of(&sc, "VirtualService", "v"), rows[i].note));
		scene_end(&sc);
	}
}

#define SUBSETS                                                                                    \
	ISTIO("DestinationRule", "dr", "x")                                                        \
	"  host: a.x\n  subsets: [{name: v1, labels: {}}, {name: v2, labels: {version: v2}}]\n"

/* Told where calls fail by it, and as soon as they do, also when nothing else is compiled again. */
static void empty_subset(void)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml", SERVICE("a", "x", "198.51.100.1"));
	scene_write(&sc, "b.yaml", SUBSETS);
	scene_write(&sc, "c.yaml", ROUTE("v", "x", "a.x", ", subset: v1"));
	scene_load(&sc);
	IS_STATUS(&sc, "DestinationRule", "dr", "in-force");
	scene_write(&sc, "c.yaml", ROUTE("v", "x", "a.x", ", subset: v2"));
	scene_load(&sc);
	IS_STATUS(&sc, "DestinationRule", "dr", "in-force-with-notes");
	CU_ASSERT_PTR_NOT_NULL(
		strstr(note_of(&sc, "DestinationRule", "dr"), "no endpoint is in subset \"v2\""));
	scene_write(&sc, "a.yaml", SERVICE("a", "x", "198.51.100.1, labels: {version: v2}"));
	scene_load(&sc);
	IS_STATUS(&sc, "DestinationRule", "dr", "in-force");
	/* The routes are as they were. */
	scene_write(&sc, "a.yaml", SERVICE("a", "x", "198.51.100.1, labels: {version: v3}"));
	scene_load(&sc);
	IS_STATUS(&sc, "DestinationRule", "dr", "in-force-with-notes");
	scene_end(&sc);
}

/* A rule that no call reaches is told at each load, also if nothing has changed. */
static void unreached_rule(void)
{
	static const char rules[] = "dubbo: [{route: [{destination: {host: a.x}}]}, "
				    "{match: [{headers: {k: {exact: v}}}], "
				    "route: [{destination: {host: a.x}}]}]\n";
	struct scene sc;
	char text[1024];

	scene_begin(&sc);
	snprintf(text, sizeof(text),
		SERVICE("a", "x", "198.51.100.1") "---\n" ISTIO(
			"VirtualService", "v", "x") "  hosts: [a.x]\n  %s",
		rules);
	scene_write(&sc, "a.yaml", text);
	for (int i = 0; i < 2; i++) {
		scene_load(&sc);
		IS_STATUS(&sc, "VirtualService", "v", "in-force-with-notes");
		CU_ASSERT_STRING_EQUAL(note_of(&sc, "VirtualService", "v"),
			"it is never reached: dubbo[0] matches every call "
			"(write the rule that takes all last)");
	}
	scene_end(&sc);
}

/* Calls in a protocol that nothing reads go through. */
static void unknown_protocol(void)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml",
		ISTIO("ServiceEntry", "a",
			"x") "  hosts: [a.x]\n  ports: [{number: 80, name: "
			     "tcp-metaprotocol-duboo}]\n"
			     "  resolution: STATIC\n  endpoints: [{address: 198.51.100.1}]\n");
	scene_load(&sc);
	IS_STATUS(&sc, "ServiceEntry", "a", "in-force-with-notes");
	CU_ASSERT_STRING_EQUAL(note_of(&sc, "ServiceEntry", "a"),
		"unknown protocol \"duboo\": it is forwarded as opaque TCP (did you mean dubbo?)");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc.s);
	CU_ASSERT_EQUAL_FATAL(sc.s->n_listeners, 1);
	CU_ASSERT_TRUE(sc.s->listeners[0].protos->codec->opaque);
	scene_write(&sc, "a.yaml",
		ISTIO("ServiceEntry", "a",
			"x") "  hosts: [a.x]\n  ports: [{number: 80, name: "
			     "tcp-metaprotocol-acme}]\n"
			     "  resolution: STATIC\n  endpoints: [{address: 198.51.100.1}]\n");
	scene_load(&sc);
	CU_ASSERT_STRING_EQUAL(note_of(&sc, "ServiceEntry", "a"),
		"unknown protocol \"acme\": it is forwarded as opaque TCP (add its codec file, or "
		"an ApplicationProtocol that names its codec)");
	scene_end(&sc);
}

#define NAMES "  subjectAltNames: [who.test]\n"

/* Names matter only where TLS is made, and where a rule asks for some that cannot be made nobody is called. */
static void names_of_certificates(void)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml", SERVICE("a", "x", "198.51.100.1") NAMES);
	scene_load(&sc);
	IS_STATUS(&sc, "ServiceEntry", "a", "in-force");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
	scene_write(&sc, "b.yaml",
		ISTIO("DestinationRule", "dr",
			"x") "  host: a.x\n  trafficPolicy: {tls: {mode: MUTUAL}}\n");
	scene_load(&sc);
	IS_STATUS(&sc, "DestinationRule", "dr", "in-force-with-notes");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), -2);
	scene_end(&sc);
}

const struct mt_test notes_tests[] = {
	{"other_gateways", other_gateways},
	{"empty_subset", empty_subset},
	{"unreached_rule", unreached_rule},
	{"unknown_protocol", unknown_protocol},
	{"names_of_certificates", names_of_certificates},
	{0},
};
