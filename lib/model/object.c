/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_object.h"

#include <errno.h>
#include <string.h>

static const struct {
	const char *word, *help;
} statuses[MT_OBJECT_STATUSES] = {
	[MT_OBJECT_IN_FORCE] = {"in-force", "applied completely"},
	[MT_OBJECT_NOTES] = {"in-force-with-notes",
		"applied here, except for the fields in its notes"},
	[MT_OBJECT_ELSEWHERE] = {"elsewhere", "another proxy enforces it; the reason says which"},
	[MT_OBJECT_IGNORED] = {"ignored", "not for a mesh, or of a kind that Meltemi does not use"},
	[MT_OBJECT_NO_EFFECT] = {"no-effect", "valid, but it changes nothing on this node"},
	[MT_OBJECT_SHADOWED] = {"shadowed", "another object is used in its place"},
	[MT_OBJECT_WAITING] = {"waiting", "an object that it names has not arrived yet"},
	[MT_OBJECT_FAIL_CLOSED] = {"fail-closed",
		"it cannot be evaluated here, so calls to what it selects are denied"},
	[MT_OBJECT_LAST_GOOD] = {"last-good",
		"its current version cannot be used; its last good version is applied"},
	[MT_OBJECT_REFUSED] = {"refused", "it cannot be used, and there is no last good version"},
};

const char *mt_object_status_str(enum mt_object_status s)
{
	return statuses[s].word;
}

const char *mt_object_status_help(enum mt_object_status s)
{
	return statuses[s].help;
}

/* For the reference page, in the order of enum mt_object_status. */
static const struct {
	const char *causes, *remedy;
} advice[] = {
	{"the object is valid and applies to something on this node", "nothing"},
	{"a field without effect here; a destination, subset, port or delegate that does not "
	 "exist; "
	 "a PERMISSIVE PeerAuthentication",
		"read its notes; remove or change the fields that they name, or add the missing "
		"object"},
	{"all endpoints that a policy selects have a proxy of their own",
		"nothing; for endpoints without a proxy remove the label "
		"`security.istio.io/tlsMode` or the `serviceAccount`"},
	{"a kind of other software (Deployment, Ingress); a document without `kind`; a ConfigMap "
	 "without a MeshConfig",
		"nothing; if it is meant for Meltemi, correct `apiVersion` and `kind`"},
	{"a route or rule for a host that no service has; a policy, Gateway or WorkloadEntry that "
	 "selects nothing, or that nothing selects; a kind without a codec (HTTPRoute); an object "
	 "that is not exported to this node; an exempt object (`spec.unenforced`)",
		"add the service, or correct host, namespace, selector, labels or `exportTo`; see "
		"the labels and `spec.mesh.namespace` of the Node"},
	{"another object for the same host or endpoints is older or of a kind that is used first",
		"delete one of the two, or join them; the reason names the other"},
	{"no object has this status at present", "nothing"},
	{"a policy with a part that is not evaluated; STRICT on a node without an identity; a "
	 "CUSTOM policy without a provider; an EnvoyFilter that protects, or a WasmPlugin; labels "
	 "of endpoints that are unknown; a service, or a DestinationRule with subsets, that "
	 "needs too much [work](configuration.md#work)",
		"read the reason; rewrite the part that it names, give the node an identity "
		"(`spec.identity`), add the Pods, or exempt the object until a date "
		"(`spec.unenforced`)"},
	{"a mistake in an edited document, such as the path of a certificate that cannot be read; "
	 "a file that cannot be read; a conflict with another object",
		"correct the line that `show errors` names; the fixed file is applied within 1.5 "
		"s. "
		"`forget` drops the last good version"},
	{"a mistake in a new document; another content with the same identity; a route with a "
	 "field that cannot be applied",
		"correct the line that `show errors` or `--check` names, or delete one of the two; "
		"until "
		"then a restrictive object denies calls to what it selects"},
};

_Static_assert(MT_ARRAY_LEN(advice) == MT_OBJECT_STATUSES, "a status without advice");

void mt_object_reference(FILE *out)
{
	fputs("| status | meaning | typical causes | what to do |\n|---|---|---|---|\n", out);
	for (int i = 0; i < MT_OBJECT_STATUSES; i++)
		fprintf(out, "| `%s` | %s | %s | %s |\n", statuses[i].word, statuses[i].help,
			advice[i].causes, advice[i].remedy);
}

int mt_objects_add(struct mt_objects *l, struct mt_object *o)
{
	uint32_t cap = l->cap ? 2 * l->cap : 16;
	struct mt_object **v;

	/* Build the key once, because every load compares keys. */
	if (!o->key)
		o->key = mt_region_printf(&o->part->region, "%s\n%s\n%s\n%s\n%s", o->source,
			o->group, o->kind, o->ns, o->name);
	if (!o->key)
		return -ENOMEM;
	if (l->n == l->cap) {
		v = realloc(l->v, cap * sizeof(struct mt_object *));
		if (!v)
			return -ENOMEM;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = o;
	o->part->refs++;
	return 0;
}

void mt_objects_fini(struct mt_objects *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		mt_object_put(l->v[i]);
	free(l->v);
	*l = (struct mt_objects){0};
}

static const char digits[] = "0123456789abcdef";

void mt_content_hash_str(const struct mt_content_hash *h, char text[MT_CONTENT_HASH_TEXT])
{
	for (size_t i = 0; i < sizeof(h->v); i++) {
		text[2 * i] = digits[h->v[i] >> 4];
		text[2 * i + 1] = digits[h->v[i] & 15];
	}
	text[2 * sizeof(h->v)] = '\0';
}

bool mt_content_hash_parse(const char *text, struct mt_content_hash *h)
{
	*h = (struct mt_content_hash){{0}};
	if (strlen(text) != MT_CONTENT_HASH_TEXT - 1 ||
		strspn(text, digits) != MT_CONTENT_HASH_TEXT - 1)
		return false;
	for (size_t i = 0; i < sizeof(h->v); i++)
		h->v[i] = (uint8_t)((strchr(digits, text[2 * i]) - digits) << 4 |
				    (strchr(digits, text[2 * i + 1]) - digits));
	return true;
}

int mt_object_str(const struct mt_object *o, char *buf, size_t size)
{
	/* Some kinds have no namespaces. */
	if (*o->kind && *o->name && !*o->ns)
		return snprintf(buf, size, "%s %s", o->kind, o->name);
	return snprintf(buf, size, "%s %s/%s", *o->kind ? o->kind : "document",
		*o->ns ? o->ns : "?", *o->name ? o->name : "?");
}

/*
 * Ranks an object: usable ones first, whatever their age, then invalid ones, illegible ones, and
 * those that their source may not have.
 */
static int trouble(const struct mt_object *o)
{
	if (o->outside)
		return 3;
	return o->illegible ? 2 : o->status == MT_OBJECT_REFUSED;
}

int mt_object_cmp(const struct mt_object *a, const struct mt_object *b)
{
	int c = strcmp(a->key, b->key);

	if (!c)
		c = trouble(a) - trouble(b);
	if (!c)
		c = (a->created > b->created) - (a->created < b->created);
	return c ? c : memcmp(&a->hash, &b->hash, sizeof(a->hash));
}

int mt_object_age_cmp(const struct mt_object *a, const struct mt_object *b)
{
	int c = (a->created > b->created) - (a->created < b->created);

	if (!c)
		c = strcmp(a->name, b->name);
	if (!c)
		c = strcmp(a->ns, b->ns);
	return c ? c : mt_object_cmp(a, b);
}
