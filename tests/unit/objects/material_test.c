/* SPDX-License-Identifier: Apache-2.0 */
/* Documents whose TLS material cannot be had: the last good version stays, and without one nothing is called. */
#include "../tls/pki.h"
#include "objects_test.h"

#include "mt_objects_priv.h"

#define CLOSED (-2)

static char rule[512];

/* A DestinationRule of a.x with `tls`; "@" is the scene's directory. */
static void write_rule(struct scene *sc, const char *tls)
{
	size_t n;

	n = (size_t)snprintf(rule, sizeof(rule), "%s",
		ISTIO("DestinationRule", "d", "x") "  host: a.x\n  trafficPolicy:\n    tls: ");
	for (; *tls; tls++)
		n += (size_t)snprintf(rule + n, sizeof(rule) - n, *tls == '@' ? "%s" : "%.1s",
			*tls == '@' ? sc->dir : tls);
	snprintf(rule + n, sizeof(rule) - n, "\n");
	scene_write(sc, "d.yaml", rule);
}

static void begin(struct scene *sc)
{
	scene_begin(sc);
	scene_write(sc, "a.yaml", SERVICE("a", "x", "198.51.100.1"));
	scene_write(sc, "roots.pem", pki()->roots);
}

static bool is_told(const struct scene *sc, enum mt_diag_severity severity, uint32_t line,
	const char *path, const char *words)
{
	for (uint32_t i = 0; i < sc->diags.n; i++) {
		const struct mt_diag *e = &sc->diags.items[i];

		if (e->severity == severity && e->origin.line == line && e->path &&
			strcmp(e->path, path) == 0 && strstr(e->message, words))
			return true;
	}
	return false;
}

#define GOOD  "{mode: SIMPLE, caCertificates: @/roots.pem}"
#define FIELD "spec.trafficPolicy.tls.caCertificates"

static const struct {
	const char *tls, *field, *words;
} mistakes[] = {
	{"{mode: SIMPLE, caCertificates: @/rots.pem}", FIELD, "rots.pem: No such file"},
	{"{mode: SIMPLE, caCertificates: @/a.yaml}", FIELD, "a.yaml: the roots hold no PEM"},
	{"{mode: SIMPLE, caCertificates: @/.state}", FIELD, ": no file"},
	{"{mode: SIMPLE, caCertificates: @}", FIELD, "it is in no directory that the Node's"},
	{"{mode: SIMPLE, caCertificates: /etc/roots.pem}", FIELD,
		"/etc/roots.pem: it is in no directory that the Node's spec.tlsFiles lists for "
		"namespace x"},
	{"{mode: SIMPLE, caCertificates: @/../roots.pem}", FIELD, "leads out of the directory"},
	{"{mode: SIMPLE, caCertificates: roots.pem}", FIELD, "written with its whole path"},
	{"{mode: SIMPLE, caCertificates: @/roots.pem, caCrl: @/crl.pem}",
		"spec.trafficPolicy.tls.caCrl", "crl.pem: No such file"},
	{"{mode: SIMPLE, caCertificates: @/roots.pem, caCrl: @/roots.pem}",
		"spec.trafficPolicy.tls.caCrl", "roots.pem: the CRL holds no PEM list"},
	{"{mode: MUTUAL, caCertificates: @/roots.pem, clientCertificate: @/c.pem, privateKey: "
	 "@/c.pem}",
		"spec.trafficPolicy.tls.clientCertificate", "c.pem: No such file"},
	{"{mode: MUTUAL, caCertificates: @/roots.pem, clientCertificate: @/roots.pem, privateKey: "
	 "@/k.pem}",
		"spec.trafficPolicy.tls.privateKey", "k.pem: No such file"},
	{"{mode: MUTUAL, caCertificates: @/roots.pem, clientCertificate: @/roots.pem, privateKey: "
	 "@/roots.pem}",
		"spec.trafficPolicy.tls.privateKey", "roots.pem: the key is not a PEM private key"},
	{"{mode: MUTUAL, caCertificates: @/roots.pem, clientCertificate: @/a.yaml, privateKey: "
	 "@/a.yaml}",
		"spec.trafficPolicy.tls.clientCertificate", "a.yaml: the chain holds no PEM"},
	{"{mode: MUTUAL, caCertificates: @/roots.pem}", "spec.trafficPolicy.tls.mode",
		"MUTUAL needs clientCertificate"},
	{"{mode: SIMPLE, credentialName: none}", "spec.trafficPolicy.tls.credentialName",
		"Secret x/none-cacert is not among the documents"},
};

static bool names_file(size_t i)
{
	return strstr(mistakes[i].words, ".pem") || strstr(mistakes[i].words, ".yaml") ||
	       strstr(mistakes[i].words, "file") || strstr(mistakes[i].words, "whole path") ||
	       strstr(mistakes[i].words, "directory");
}

static void judge_edit(size_t i, bool again)
{
	struct scene sc;

	begin(&sc);
	write_rule(&sc, GOOD);
	scene_load(&sc);
	IS_STATUS(&sc, "DestinationRule", "d", "in-force");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
	write_rule(&sc, mistakes[i].tls);
	if (again)
		scene_restart(&sc);
	scene_load(&sc);
	IS_STATUS(&sc, "DestinationRule", "d", "last-good");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
	CU_ASSERT_TRUE(is_told(&sc, MT_DIAG_ERROR, 7, mistakes[i].field, mistakes[i].words));
	CU_ASSERT_TRUE(mt_table_has_trouble(sc.t));
	CU_ASSERT_STRING_EQUAL(mt_row_severity(scene_row(&sc, "DestinationRule", "d")), "error");
	write_rule(&sc, GOOD);
	scene_load(&sc);
	IS_STATUS(&sc, "DestinationRule", "d", "in-force");
	CU_ASSERT_FALSE(mt_table_has_trouble(sc.t));
	scene_end(&sc);
}

/* The last good version stays, with its certificates, also after a restart. */
static void edits(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(mistakes); i++) {
		judge_edit(i, false);
		judge_edit(i, true);
	}
}

/* Without a last good version nothing is called; and such a version never becomes one. */
static void first_loads(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(mistakes); i++) {
		bool file = names_file(i);
		struct scene sc;

		begin(&sc);
		write_rule(&sc, mistakes[i].tls);
		scene_load(&sc);
		IS_STATUS(&sc, "DestinationRule", "d", "in-force-with-notes");
		CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), CLOSED);
		CU_ASSERT_TRUE(is_told(&sc, file ? MT_DIAG_UNREADABLE : MT_DIAG_ABSENT, 7,
			mistakes[i].field, mistakes[i].words));
		if (!is_told(&sc, file ? MT_DIAG_UNREADABLE : MT_DIAG_ABSENT, 7, mistakes[i].field,
			    mistakes[i].words))
			mt_diags_print(&sc.diags, stderr);
		CU_ASSERT_EQUAL(mt_table_has_trouble(sc.t), file);
		CU_ASSERT_TRUE(mt_diags_strict(&sc.diags) > 0);
		CU_ASSERT_STRING_EQUAL(mt_row_severity(scene_row(&sc, "DestinationRule", "d")),
			file ? "error" : "warning");
		write_rule(&sc, "{mode: SIMPLE, caCertificates: @/none}");
		scene_load(&sc);
		IS_STATUS(&sc, "DestinationRule", "d", "in-force-with-notes");
		CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), CLOSED);
		scene_end(&sc);
	}
}

/* Files that are broken while they are replaced; then with a mistake in the rule as well. */
static void rotation(void)
{
	struct scene sc;

	begin(&sc);
	write_rule(&sc, GOOD);
	scene_load(&sc);
	scene_write(&sc, "roots.pem", "-----BEGIN CERTIFICATE-----\nMIIB");
	scene_load(&sc);
	IS_STATUS(&sc, "DestinationRule", "d", "in-force-with-notes");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
	CU_ASSERT_TRUE(is_told(&sc, MT_DIAG_WARNING, 7, FIELD,
		"roots.pem: the roots hold no PEM certificate; the last good certificate and roots "
		"stay in use"));
	write_rule(&sc, "{mode: SIMPLE, caCertificates: @/rots.pem}");
	scene_load(&sc);
	IS_STATUS(&sc, "DestinationRule", "d", "last-good");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
	scene_write(&sc, "roots.pem", pki()->roots);
	scene_load(&sc);
	IS_STATUS(&sc, "DestinationRule", "d", "last-good");
	CU_ASSERT_FALSE(is_told(&sc, MT_DIAG_WARNING, 7, FIELD, "stay in use"));
	/* After a restart the material is gone from memory. */
	scene_write(&sc, "roots.pem", NULL);
	scene_restart(&sc);
	scene_load(&sc);
	IS_STATUS(&sc, "DestinationRule", "d", "last-good");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), CLOSED);
	scene_end(&sc);
}

#define MISSING	 "{mode: SIMPLE, caCertificates: @/rots.pem}"
#define GATEWAY	 ISTIO("Gateway", "g", "x") "  selector: {}\n  servers:\n"
#define ON(port) "  - port: {number: " port ", name: p" port ", protocol: "

/* A last good version that demands less of TLS does not replace an edited one, which stays closed. */
static void weaker_versions(void)
{
	static const char *const weak[] = {"{mode: DISABLE}", "{}"};
	struct scene sc;

	for (size_t i = 0; i < MT_ARRAY_LEN(weak); i++) {
		begin(&sc);
		write_rule(&sc, weak[i]);
		scene_load(&sc);
		CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
		write_rule(&sc, MISSING);
		scene_load(&sc);
		IS_STATUS(&sc, "DestinationRule", "d", "in-force-with-notes");
		CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), CLOSED);
		scene_restart(&sc);
		scene_load(&sc);
		CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), CLOSED);
		write_rule(&sc, GOOD);
		scene_load(&sc);
		CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
		scene_end(&sc);
	}
}

static bool covers(const char *good, const char *edited)
{
	const char *const texts[] = {good, edited};
	struct mt_object *o[2];
	struct scene sc[2];
	bool does;

	for (int i = 0; i < 2; i++) {
		scene_begin(&sc[i]);
		scene_write(&sc[i], "o.yaml", texts[i]);
		scene_load(&sc[i]);
		o[i] = scene_row(&sc[i],
			strstr(texts[i], "Gateway") ? "Gateway" : "DestinationRule",
			strstr(texts[i], "Gateway") ? "g" : "d")
			       ->o;
	}
	does = mt_object_demands(o[0], o[1]);
	scene_end(&sc[0]);
	scene_end(&sc[1]);
	return does;
}

#define RULE(host, rest) ISTIO("DestinationRule", "d", "x") "  host: " host "\n" rest
#define PORTS(port)                                                                                \
	"  trafficPolicy:\n    portLevelSettings:\n    - port: {number: " port "}\n      tls: "    \
	"{mode: SIMPLE}\n"
#define SUBSET(name) "  subsets:\n  - name: " name "\n    trafficPolicy: {tls: {mode: SIMPLE}}\n"

static void demands(void)
{
	static const struct {
		const char *good, *edited;
		bool covers;
	} t[] = {
		{GATEWAY ON("443") "TLS}\n    tls: {mode: SIMPLE}\n",
			GATEWAY ON("443") "TLS}\n    tls: {mode: SIMPLE, credentialName: c}\n",
			true},
		{GATEWAY ON("443") "TCP}\n", GATEWAY ON("443") "TLS}\n    tls: {mode: SIMPLE}\n",
			false},
		{GATEWAY ON("443") "TLS}\n    tls: {mode: SIMPLE}\n",
			GATEWAY ON("443") "TLS}\n    tls: {mode: MUTUAL}\n", false},
		{GATEWAY ON("443") "TLS}\n    tls: {mode: MUTUAL}\n",
			GATEWAY ON("443") "TLS}\n    tls: {mode: SIMPLE}\n", true},
		{GATEWAY ON("443") "TLS}\n    tls: {mode: PASSTHROUGH}\n",
			GATEWAY ON("443") "TLS}\n    tls: {mode: SIMPLE}\n", false},
		{RULE("a.x", PORTS("80")), RULE("a.x", PORTS("80")), true},
		{RULE("a.x", PORTS("80")), RULE("a.x", PORTS("81")), false},
		{RULE("a.x", PORTS("80")), RULE("b.x", PORTS("80")), false},
		{RULE("a.x", SUBSET("v1")), RULE("a.x", SUBSET("v1")), true},
		{RULE("a.x", SUBSET("v1")), RULE("a.x", SUBSET("v2")), false},
		{RULE("a.x", SUBSET("v1")), RULE("a.x", PORTS("80")), false},
		{RULE("a.x", PORTS("80")), RULE("a.x", ""), true},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		CU_ASSERT_EQUAL(covers(t[i].good, t[i].edited), t[i].covers);
		if (covers(t[i].good, t[i].edited) != t[i].covers)
			fprintf(stderr, "row %zu\n", i);
	}
}

const struct mt_test material_tests[] = {{"edits", edits}, {"first_loads", first_loads},
	{"rotation", rotation}, {"versions that demand less", weaker_versions},
	{"demands", demands}, {0}};
