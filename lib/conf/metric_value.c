/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attributes are those that Istio has for both peers, with and without "filter_state." at the
 * start. As in Istio's proxies, an expression with a label that is not known is "unknown".
 */
#include "mt_metric_value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct mt_cel_value label_of(const struct mt_peer *p, enum mt_peer_label which)
{
	const char *s = p->label[which];

	if (!s)
		return (struct mt_cel_value){.type = MT_CEL_ABSENT};
	return mt_cel_text((struct mt_slice){(const uint8_t *)s, (uint32_t)strlen(s)});
}

#define PEERS(X)                                                                                   \
	X(upstream)                                                                                \
	X(downstream)
#define GETTER(side, name, label)                                                                  \
	static struct mt_cel_value side##_##name(void *arg)                                        \
	{                                                                                          \
		return label_of(((const struct mt_metric_peers *)arg)->side, MT_PEER_##label);     \
	}
#define GETTERS(side)                                                                              \
	GETTER(side, workload, WORKLOAD)                                                           \
	GETTER(side, namespace, NAMESPACE)                                                         \
	GETTER(side, cluster, CLUSTER)                                                             \
	GETTER(side, app, APP)                                                                     \
	GETTER(side, version, VERSION)                                                             \
	GETTER(side, service, SERVICE)                                                             \
	GETTER(side, revision, REVISION)
PEERS(GETTERS)

#define ROW(start, side, name)                                                                     \
	{start #side "_peer." #name, MT_CEL_STRING, MT_CEL_NULL, side##_##name},
#define ROWS(start, side)                                                                          \
	ROW(start, side, workload)                                                                 \
	ROW(start, side, namespace)                                                                \
	ROW(start, side, cluster)                                                                  \
	ROW(start, side, app)                                                                      \
	ROW(start, side, version)                                                                  \
	ROW(start, side, service)                                                                  \
	ROW(start, side, revision)
#define BARE(side) ROWS("", side)
#define FULL(side) ROWS("filter_state.", side)

/* clang-format off */
static const struct mt_cel_attribute of_peers[] = {PEERS(FULL) PEERS(BARE)};
/* clang-format on */
static const struct mt_cel_attributes attributes = {of_peers, MT_ARRAY_LEN(of_peers)};

static bool is_shown(enum mt_cel_type type)
{
	return type == MT_CEL_STRING || type == MT_CEL_BOOL || type == MT_CEL_INT ||
	       type == MT_CEL_UINT || type == MT_CEL_DYN;
}

struct mt_cel *mt_metric_value_new(const char *text, struct mt_err *e)
{
	struct mt_cel *cel = mt_cel_new(text, strlen(text), &attributes, e);

	if (!cel)
		return NULL;
	if (!is_shown(mt_cel_result(cel)))
		(void)mt_err(e, -EINVAL,
			"column 1: the value is of type %s; make a text of it by string()",
			mt_cel_type_str(mt_cel_result(cel)));
	else if (mt_cel_steps(cel) > MT_METRIC_STEPS)
		(void)mt_err(e, -E2BIG,
			"column 1: the expression has %u instructions, and at most %u are allowed",
			mt_cel_steps(cel), MT_METRIC_STEPS);
	else
		return cel;
	mt_cel_free(cel);
	return NULL;
}

/* Copies a text, up to a NUL in it; one that is too long ends before a character of UTF-8. */
static void copy(struct mt_slice text, char to[MT_METRIC_VALUE + 1])
{
	const char *from = (const char *)text.p;
	size_t len = text.len ? strnlen(from, text.len) : 0;

	if (len > MT_METRIC_VALUE) {
		len = MT_METRIC_VALUE;
		while (len && (from[len] & 0xc0) == 0x80)
			len--;
	}
	if (len)
		memcpy(to, from, len);
	to[len] = '\0';
}

void mt_metric_value(const struct mt_cel *cel, struct mt_cel_frame *frame,
	const struct mt_metric_peers *peers, char to[MT_METRIC_VALUE + 1])
{
	struct mt_cel_value v = mt_cel_run(cel, frame, (void *)(uintptr_t)peers);

	switch (v.type) {
	case MT_CEL_STRING:
		copy(v.text, to);
		return;
	case MT_CEL_BOOL:
		strcpy(to, v.yes ? "true" : "false");
		return;
	case MT_CEL_INT:
		snprintf(to, MT_METRIC_VALUE, "%" PRId64, v.n);
		return;
	case MT_CEL_UINT:
		snprintf(to, MT_METRIC_VALUE, "%" PRIu64, v.u);
		return;
	default:
		strcpy(to, "unknown");
	}
}
