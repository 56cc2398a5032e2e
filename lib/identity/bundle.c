/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_bundle.h"

#include "mt_cert.h"
#include "mt_file.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NEW_BUNDLE "make a new bundle: istioctl x workload entry configure -f GROUP.yaml -o DIR"
#define LABEL_MAX  63 /* length of a DNS label, as Kubernetes names are (RFC 1123 §2.1) */

int mt_find(struct mt_finding *f, const char *file, uint32_t line, const char *field,
	const char *remedy, const char *fmt, ...)
{
	char text[sizeof(f->words)];
	va_list ap;

	*f = (struct mt_finding){.line = line};
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	mt_escape(f->words, sizeof(f->words), text);
	snprintf(f->file, sizeof(f->file), "%s", file);
	mt_escape(f->field, sizeof(f->field), field);
	snprintf(f->remedy, sizeof(f->remedy), "%s", remedy);
	return -EINVAL;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Reads a file of the bundle. After 0 *text is not NULL; the caller frees it. */
static int read_file(
	struct mt_bundle *b, const char *name, char **text, size_t *len, struct mt_finding *f)
{
	char path[4096];
	struct mt_err e;
	int rc;

	*text = NULL;
	if (snprintf(path, sizeof(path), "%s/%s", b->dir, name) >= (int)sizeof(path))
		return mt_find(f, name, 0, "", "use a shorter path", "the path is too long");
	rc = mt_file_read(path, MT_FILE_SMALL, 0, text, len, &e);
	if (rc == -ENOENT)
		mt_find(f, name, 0, "", NEW_BUNDLE, "the file is not there: %s", path);
	else if (rc == -EACCES)
		mt_find(f, name, 0, "", "run this command as a user with read access to the bundle",
			"%s", e.text);
	else if (rc)
		mt_find(f, name, 0, "", NEW_BUNDLE, "%s", e.text);
	return rc;
}

typedef int parse_fn(
	struct mt_region *region, const char *text, size_t len, void *out, struct mt_finding *f);

static int parse_env(
	struct mt_region *region, const char *text, size_t len, void *out, struct mt_finding *f)
{
	return mt_env_parse(region, text, len, out, f);
}

static int parse_mesh(
	struct mt_region *region, const char *text, size_t len, void *out, struct mt_finding *f)
{
	return mt_mesh_parse(region, text, len, out, f);
}

static int parse_hosts(
	struct mt_region *region, const char *text, size_t len, void *out, struct mt_finding *f)
{
	return mt_hosts_parse(region, text, len, out, f);
}

static int read_parsed(
	struct mt_bundle *b, const char *name, parse_fn *parse, void *out, struct mt_finding *f)
{
	char *text;
	size_t len;
	int rc = read_file(b, name, &text, &len, f);

	if (rc == 0)
		rc = parse(&b->region, text, len, out, f);
	free(text);
	return rc;
}

static int read_roots(struct mt_bundle *b, struct mt_finding *f)
{
	char *text;
	size_t len;
	int rc = read_file(b, "root-cert.pem", &text, &len, f);

	if (rc)
		return rc;
	b->roots = mt_region_strndup(&b->region, text, len);
	free(text);
	if (b->roots && mt_cert_count(b->roots))
		return 0;
	return mt_find(f, "root-cert.pem", 0, "",
		"copy it from the config map istio-ca-root-cert of the workload's namespace",
		len ? "it holds no PEM certificate" : "it is empty");
}

static int read_token(struct mt_bundle *b, struct mt_finding *f)
{
	size_t len;
	int rc = read_file(b, "istio-token", &b->token, &len, f);

	if (rc)
		return rc;
	while (len && isspace((unsigned char)b->token[len - 1]))
		b->token[--len] = '\0';
	if (len)
		return 0;
	return mt_find(f, "istio-token", 0, "",
		"kubectl create token SERVICE_ACCOUNT -n NAMESPACE --audience istio-ca > "
		"istio-token",
		"it is empty");
}

/* ---- checks of cluster.env ------------------------------------------------------------------- */

static bool is_dns_label(const char *s)
{
	size_t n = strlen(s);

	if (!n || n > LABEL_MAX || s[0] == '-' || s[n - 1] == '-')
		return false;
	for (; *s; s++)
		if (!islower((unsigned char)*s) && !isdigit((unsigned char)*s) && *s != '-')
			return false;
	return true;
}

/*
 * True for labels separated by dots, as in service accounts and trust domains (SPIFFE IDs allow '_'
 * there).
 */
static bool is_dns_name(const char *s)
{
	if (!*s || strlen(s) > 253 || *s == '.' || s[strlen(s) - 1] == '.' || strstr(s, ".."))
		return false;
	for (; *s; s++)
		if (!islower((unsigned char)*s) && !isdigit((unsigned char)*s) &&
			!strchr("-._", *s))
			return false;
	return true;
}

static int bad_env(
	const struct mt_bundle *b, const char *key, struct mt_finding *f, const char *what)
{
	const struct mt_env_row *row = mt_env_row(&b->env, key);

	if (!row)
		return mt_find(f, "cluster.env", 0, key, NEW_BUNDLE, "it is not there");
	return mt_find(f, "cluster.env", row->line, key, NEW_BUNDLE, "\"%.128s\" is not a valid %s",
		row->value, what);
}

/* Checks that ISTIO_METAJSON_LABELS is a JSON object of strings. */
static int check_labels(const struct mt_bundle *b, struct mt_finding *f)
{
	const struct mt_env_row *row = mt_env_row(&b->env, "ISTIO_METAJSON_LABELS");
	json_t *o, *v;
	const char *key;
	bool ok;

	if (!row || !row->value[0])
		return 0;
	o = json_loads(row->value, JSON_REJECT_DUPLICATES, NULL);
	ok = json_is_object(o);
	json_object_foreach(o, key, v) ok = ok && json_is_string(v);
	json_decref(o);
	return ok ? 0 : bad_env(b, row->key, f, "JSON object of texts");
}

/* Checks that the files are not from two bundles: common values must be the same. */
static int check_agreement(const struct mt_bundle *b, struct mt_finding *f)
{
	static const char *const keys[] = {"POD_NAMESPACE", "SERVICE_ACCOUNT",
		"ISTIO_META_WORKLOAD_NAME", "ISTIO_META_CLUSTER_ID", "TRUST_DOMAIN"};

	for (size_t i = 0; i < MT_ARRAY_LEN(keys); i++) {
		const struct mt_env_row *mesh = mt_env_row(&b->mesh.metadata, keys[i]);
		const char *env = mt_env_get(&b->env, keys[i]);

		if (mesh && env && strcmp(mesh->value, env) != 0)
			return mt_find(f, "mesh.yaml", mesh->line, keys[i],
				"take all five files from one run of istioctl",
				"it has \"%.100s\", cluster.env has \"%.100s\"", mesh->value, env);
	}
	return 0;
}

static int check_env(struct mt_bundle *b, struct mt_finding *f)
{
	const char *domain = mt_env_get(&b->env, "TRUST_DOMAIN");
	const char *ip = mt_env_get(&b->env, "ISTIO_SVC_IP");
	struct mt_addr a;

	b->namespace = mt_env_get(&b->env, "POD_NAMESPACE");
	b->service_account = mt_env_get(&b->env, "SERVICE_ACCOUNT");
	b->workload = mt_env_get(&b->env, "ISTIO_META_WORKLOAD_NAME");
	b->trust_domain = domain && *domain ? domain : "cluster.local";
	if (!b->namespace || !is_dns_label(b->namespace))
		return bad_env(b, "POD_NAMESPACE", f, "name of a namespace");
	if (!b->service_account || !is_dns_name(b->service_account))
		return bad_env(b, "SERVICE_ACCOUNT", f, "name of a service account");
	if (!b->workload || !is_dns_name(b->workload))
		return bad_env(b, "ISTIO_META_WORKLOAD_NAME", f, "name of a workload");
	if (!is_dns_name(b->trust_domain))
		return bad_env(b, "TRUST_DOMAIN", f, "trust domain");
	/* The address becomes part of the node id, and istiod rejects an id without one. */
	if (ip && *ip && mt_addr_parse(ip, &a))
		return bad_env(b, "ISTIO_SVC_IP", f, "address");
	snprintf(b->spiffe, sizeof(b->spiffe), "spiffe://%s/ns/%s/sa/%s", b->trust_domain,
		b->namespace, b->service_account);
	return check_labels(b, f) || check_agreement(b, f) ? -EINVAL : 0;
}

int mt_bundle_read(struct mt_bundle *b, const char *dir, struct mt_finding *f)
{
	int rc;

	*b = (struct mt_bundle){.dir = dir};
	mt_region_init(&b->region, 16u << 20);
	rc = read_parsed(b, "cluster.env", parse_env, &b->env, f);
	rc = rc ? rc : read_parsed(b, "mesh.yaml", parse_mesh, &b->mesh, f);
	rc = rc ? rc : read_roots(b, f);
	rc = rc ? rc : read_token(b, f);
	rc = rc ? rc : read_parsed(b, "hosts", parse_hosts, &b->hosts, f);
	return rc ? rc : check_env(b, f);
}

void mt_bundle_free(struct mt_bundle *b)
{
	mt_wipe_free(b->token);
	b->token = NULL;
	mt_region_fini(&b->region);
}
