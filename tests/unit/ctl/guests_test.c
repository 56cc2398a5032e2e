/* SPDX-License-Identifier: Apache-2.0 */
/* `show guests`. */
#include "suites.h"

#include "mt_source.h"

#define NODE                                                                                       \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: host-1}\nspec:\n"                 \
	"  guests: {networks: [{address: 10.9.0.1/24}, {address: 'fd00::1/64'}]}\n"
#define GUEST(name, notes)                                                                         \
	"---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata:\n"                \
	"  name: " name "\n  namespace: shop\n"                                                    \
	"  annotations: {meltemi.io/vhost-user: /run/meltemi-guests/a.sock" notes "}\n"            \
	"spec: {address: 10.9.0.11}\n"
#define MAC(more) ", meltemi.io/mac: '52:54:00:09:00:0b'" more

/* The answer under these documents; text NULL: without a configuration. */
static char *guests(const char *text)
{
	const struct mt_conf_options opts = {.workers = 1};
	struct mt_err e;
	struct mt_conf *conf = mt_conf_create(&opts, &e);
	struct mt_ctl *c = test_ctl(&(struct mt_ctl_env){.conf = conf});
	struct mt_model *m = mt_model_new();
	struct mt_diags diags;
	int code;
	char *answer;

	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	mt_diags_init(&diags);
	if (text) {
		struct mt_snapshot *s;

		mt_source_text(m, &diags, "t.yaml", text, strlen(text));
		s = mt_conf_compile(conf, m, &diags, c->now);
		CU_ASSERT_PTR_NOT_NULL_FATAL(s);
		CU_ASSERT_EQUAL(mt_conf_publish(conf, s, c->now, NULL, &e), 0);
	}
	mt_diags_fini(&diags);
	mt_model_free(m);
	answer = test_run(c, "--json show guests", &code);
	CU_ASSERT_EQUAL(code, MT_CTL_OK);
	mt_ctl_destroy(c);
	mt_conf_destroy(conf);
	return answer;
}

static void test_none(void)
{
	static const char *const texts[] = {NULL, NODE};

	for (size_t i = 0; i < MT_ARRAY_LEN(texts); i++) {
		char *answer = guests(texts[i]);

		CU_ASSERT_PTR_NOT_NULL(strstr(answer, "\"guests\": []"));
		free(answer);
	}
}

static void test_rows(void)
{
	char *answer = guests(NODE GUEST("vm1", MAC(", meltemi.io/addresses: 'fd00::b'"))
			GUEST("vm2", MAC("")) GUEST("vm3", ""));
	static const struct {
		const char *field, *want[3]; /* NULL: null */
	} t[] = {
		{"guest", {"shop/vm1", "shop/vm2", "shop/vm3"}},
		{"state", {"not connected", "refused", "refused"}},
		{"addresses", {"10.9.0.11,fd00::b", NULL, NULL}},
		{"mac", {"52:54:00:09:00:0B", NULL, NULL}},
		{"socket", {"/run/meltemi-guests/a.sock", "/run/meltemi-guests/a.sock",
				   "/run/meltemi-guests/a.sock"}},
		{"dropped", {NULL, NULL, NULL}},
		{"reason", {"the node was started without spec.guests",
				   "WorkloadEntry shop/vm1 already has socket "
				   "/run/meltemi-guests/a.sock (give each guest its own)",
				   "it has no meltemi.io/mac (write the Ethernet address of the "
				   "guest's card)"}},
		{"origin", {"t.yaml:7", "t.yaml:15", "t.yaml:23"}},
	};
	json_t *j = json_loads(answer, 0, NULL), *list = json_object_get(j, "guests");

	CU_ASSERT_EQUAL(json_array_size(list), 3);
	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++)
		for (size_t k = 0; k < 3; k++) {
			json_t *is = json_object_get(json_array_get(list, k), t[i].field);
			const char *text = json_string_value(is), *want = t[i].want[k];

			CU_ASSERT(want ? text && strcmp(text, want) == 0 : json_is_null(is));
		}
	json_decref(j);
	free(answer);
}

const struct mt_test guests_tests[] = {{"none", test_none}, {"rows", test_rows}, {0}};
