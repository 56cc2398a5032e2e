/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hashes the meaning of a document, so that layout and order of fields make no difference: SHA-256
 * of a canonical text. A text is followed by its NUL, and lists and maps by a mark, so that
 * different documents have different canonical texts.
 */
#include "mt_crypto.h"
#include "mt_fields.h"

#include <stdlib.h>
#include <string.h>

#define SORTED_HERE 16 /* fields of a map that are sorted without allocation */

/* Marks of the canonical text. */
#define IS_NULL	 'n'
#define IS_TEXT	 't'
#define IS_BOOL	 'b'
#define IS_LIST	 'l'
#define IS_MAP	 'm'
#define IS_FIELD 'f'
#define IS_END	 'e'
#define IS_LINES 'i' /* a document that cannot be parsed, as it is written */

/* A hash in the making. */
struct hashing {
	EVP_MD_CTX *md;
	size_t n; /* bytes in `text` that are not in `md` yet */
	bool failed;
	uint8_t text[4096];
};

/* Position in a document: only the fields of its own metadata include an API server's records. */
enum place { AT_ROOT, AT_METADATA, AT_ANNOTATIONS, ELSEWHERE };

static void flush(struct hashing *h)
{
	h->failed |= EVP_DigestUpdate(h->md, h->text, h->n) != 1;
	h->n = 0;
}

static void put(struct hashing *h, const void *p, size_t len)
{
	if (len > sizeof(h->text) - h->n)
		flush(h);
	if (len > sizeof(h->text)) {
		h->failed |= EVP_DigestUpdate(h->md, p, len) != 1;
		return;
	}
	memcpy(h->text + h->n, p, len);
	h->n += len;
}

static inline void put_mark(struct hashing *h, char mark)
{
	if (h->n == sizeof(h->text))
		flush(h);
	h->text[h->n++] = (uint8_t)mark;
}

static void put_text(struct hashing *h, const char *text)
{
	put(h, text, strlen(text) + 1);
}

/*
 * True for fields in which an API server or kubectl keeps records about the object. Some fields of
 * the status have effect, see put_status().
 */
static bool has_no_meaning(enum place at, const char *key)
{
	static const char *const noted[] = {"uid", "resourceVersion", "generation",
		"creationTimestamp", "managedFields", "ownerReferences", "finalizers", "selfLink"};

	if (at == AT_ROOT)
		return strcmp(key, "status") == 0;
	if (at == AT_ANNOTATIONS)
		return strcmp(key, "kubectl.kubernetes.io/last-applied-configuration") == 0;
	for (size_t i = 0; at == AT_METADATA && i < MT_ARRAY_LEN(noted); i++)
		if (strcmp(key, noted[i]) == 0)
			return true;
	return false;
}

static enum place place_of(enum place above, const char *key)
{
	if (above == AT_ROOT && strcmp(key, "metadata") == 0)
		return AT_METADATA;
	if (above == AT_METADATA && strcmp(key, "annotations") == 0)
		return AT_ANNOTATIONS;
	return ELSEWHERE;
}

#define WORD_MAX 5 /* length of the longest word that is a boolean or null without quotes */

/* The mark of a scalar: some words are a boolean or null, but only without quotes. */
static char mark_of(const struct mt_ynode *n, size_t len)
{
	static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};

	if (!n->plain || len > WORD_MAX)
		return IS_TEXT;
	if (mt_yaml_is_null(n))
		return IS_NULL;
	for (size_t i = 0; i < MT_ARRAY_LEN(words); i++)
		if (strcasecmp(n->text, words[i]) == 0)
			return IS_BOOL;
	return IS_TEXT;
}

static void put_scalar(struct hashing *h, const struct mt_ynode *n)
{
	size_t len = strlen(n->text);
	char mark = mark_of(n, len);

	put_mark(h, mark);
	if (mark != IS_NULL)
		put(h, n->text, len + 1);
}

/* A field of a map, and its place there: a key may be written twice, and the first one counts. */
struct field {
	const struct mt_ynode *n;
	uint32_t at;
};

static int by_key(const void *a, const void *b)
{
	const struct field *x = a, *y = b;
	int c = strcmp(x->n->key, y->n->key);

	return c ? c : (x->at > y->at) - (x->at < y->at);
}

/* Sorts a few fields, which is faster than qsort(3) for them. */
static void sort_few(struct field *v, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++) {
		const struct field one = v[i];
		uint32_t k = i;

		for (; k && strcmp(v[k - 1].n->key, one.n->key) > 0; k--)
			v[k] = v[k - 1];
		v[k] = one;
	}
}

static void put_node(struct hashing *h, const struct mt_ynode *n, enum place at);

static void put_sorted(
	struct hashing *h, struct field *v, const struct mt_ynode *map, enum place at)
{
	uint32_t n = 0;

	for (const struct mt_ynode *k = map->first; k; k = k->next)
		if (!has_no_meaning(at, k->key)) {
			v[n] = (struct field){k, n};
			n++;
		}
	if (n <= SORTED_HERE)
		sort_few(v, n);
	else
		qsort(v, n, sizeof(*v), by_key);
	for (uint32_t i = 0; i < n; i++) {
		put_mark(h, IS_FIELD);
		put_text(h, v[i].n->key);
		put_node(h, v[i].n, place_of(at, v[i].n->key));
	}
}

static void put_map(struct hashing *h, const struct mt_ynode *map, enum place at)
{
	struct field few[SORTED_HERE], *many = NULL;

	if (map->n > SORTED_HERE)
		many = malloc(sizeof(*many) * map->n);
	put_mark(h, IS_MAP);
	if (map->n <= SORTED_HERE)
		put_sorted(h, few, map, at);
	else if (many)
		put_sorted(h, many, map, at);
	else
		h->failed = true;
	put_mark(h, IS_END);
	free(many);
}

static void put_node(struct hashing *h, const struct mt_ynode *n, enum place at)
{
	if (n->type == MT_Y_MAP) {
		put_map(h, n, at);
	} else if (n->type == MT_Y_SEQ) {
		put_mark(h, IS_LIST);
		for (const struct mt_ynode *k = n->first; k; k = k->next)
			put_node(h, k, ELSEWHERE);
		put_mark(h, IS_END);
	} else {
		put_scalar(h, n);
	}
}

/* ---- fields of the status that have effect --------------------------------------------------- */

static void put_field(struct hashing *h, const char *key, const struct mt_ynode *n)
{
	if (!n)
		return;
	put_mark(h, IS_FIELD);
	put_text(h, key);
	put_node(h, n, ELSEWHERE);
}

/* Of a ServiceEntry: mt_service_status(). */
static void put_addresses(struct hashing *h, const struct mt_ynode *root)
{
	const struct mt_ynode *own = mt_yaml_get(mt_yaml_get(root, "spec"), "addresses");
	const struct mt_ynode *list = mt_yaml_get(mt_yaml_get(root, "status"), "addresses");

	if ((own && own->type == MT_Y_SEQ && own->n) || !list || list->type != MT_Y_SEQ || !list->n)
		return;
	put_mark(h, IS_LIST);
	for (const struct mt_ynode *k = list->first; k; k = k->next)
		put_field(h, "value", mt_yaml_get(k, "value"));
	put_mark(h, IS_END);
}

/* Of a Pod: kind_kubernetes_pod.c. */
static void put_pod(struct hashing *h, const struct mt_ynode *root)
{
	const struct mt_ynode *status = mt_yaml_get(root, "status");
	const struct mt_ynode *list = mt_yaml_get(status, "conditions");

	if (!status || mt_yaml_is_null(status))
		return;
	put_mark(h, IS_MAP);
	put_field(h, "phase", mt_yaml_get(status, "phase"));
	put_field(h, "podIP", mt_yaml_get(status, "podIP"));
	put_field(h, "podIPs", mt_yaml_get(status, "podIPs"));
	if (list)
		put_field(h, "Ready", mt_condition(list, "Ready"));
	put_mark(h, IS_END);
}

/* Of a WorkloadEntry: mt_workload_entry_status(). */
static void put_health(struct hashing *h, const struct mt_ynode *root)
{
	const struct mt_ynode *list = mt_yaml_get(mt_yaml_get(root, "status"), "conditions");
	const struct mt_ynode *notes = mt_yaml_get(mt_yaml_get(root, "metadata"), "annotations");
	const struct mt_ynode *checks = mt_yaml_get(notes, MT_HEALTH_CHECKS);
	const struct mt_ynode *healthy = list ? mt_condition(list, "Healthy") : NULL;

	if (healthy && strcmp(healthy->text, "True") != 0 && checks &&
		checks->type == MT_Y_SCALAR && mt_health_is_checked(checks->text))
		put_text(h, "unfit");
}

static void put_status(struct hashing *h, const struct mt_kind *kind, const struct mt_ynode *root)
{
	if (kind && kind->status == mt_service_status)
		put_addresses(h, root);
	else if (kind && kind->status == mt_workload_entry_status)
		put_health(h, root);
	else if (kind && kind->spec == &mt_sec_kube_pod)
		put_pod(h, root);
}

/* ---- hashes ---------------------------------------------------------------------------------- */

static bool begin(struct mt_fctx *c, struct hashing *h)
{
	bool again = c->md != NULL;

	if (!again)
		c->md = EVP_MD_CTX_new();
	h->md = c->md;
	h->n = 0;
	h->failed = !h->md || !(again ? mt_crypto_digest_again(h->md)
				      : EVP_DigestInit_ex(h->md, EVP_sha256(), NULL) == 1);
	return !h->failed;
}

static bool end(struct mt_fctx *c, struct hashing *h, struct mt_content_hash *out)
{
	if (!h->failed)
		flush(h);
	h->failed = h->failed || EVP_DigestFinal_ex(h->md, out->v, NULL) != 1;
	if (h->failed)
		mt_hash_end(c);
	return !h->failed;
}

bool mt_document_hash(struct mt_fctx *c, const struct mt_kind *kind, const struct mt_ynode *root,
	struct mt_content_hash *out)
{
	struct hashing h;

	if (begin(c, &h)) {
		put_node(&h, root, AT_ROOT);
		put_status(&h, kind, root);
	}
	return end(c, &h, out);
}

bool mt_lines_hash(struct mt_fctx *c, const char *text, size_t len, struct mt_content_hash *out)
{
	struct hashing h;

	if (begin(c, &h)) {
		put_mark(&h, IS_LINES);
		put(&h, text, len);
	}
	return end(c, &h, out);
}

void mt_hash_end(struct mt_fctx *c)
{
	EVP_MD_CTX_free(c->md);
	c->md = NULL;
}
