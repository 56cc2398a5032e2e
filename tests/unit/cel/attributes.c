/* SPDX-License-Identifier: Apache-2.0 */
#include "attributes.h"

#include <string.h>

#define TEXT(s)                                                                                    \
	{                                                                                          \
		.type = MT_CEL_STRING, .text = {(const uint8_t *)(s), sizeof(s) - 1 }              \
	}
#define INT(i)                                                                                     \
	{                                                                                          \
		.type = MT_CEL_INT, .n = (i)                                                       \
	}
#define BYTES(s)                                                                                   \
	{                                                                                          \
		.type = MT_CEL_BYTES, .text = {(const uint8_t *)(s), sizeof(s) - 1 }               \
	}

struct pair {
	const char *key;
	struct mt_cel_value value;
};

static bool find(const void *map, struct mt_slice key, struct mt_cel_value *value)
{
	for (const struct pair *p = map; p->key; p++)
		if (strlen(p->key) == key.len && memcmp(p->key, key.p, key.len) == 0) {
			*value = p->value;
			return true;
		}
	return false;
}

#define MAP(pairs)                                                                                 \
	{                                                                                          \
		.type = MT_CEL_MAP, .map = { find, pairs }                                         \
	}

static const struct pair headers[] = {
	{"host", TEXT("demo")}, {"x-user", TEXT("Jason")}, {"empty", TEXT("")}, {0}};
static const struct pair deep[] = {{"k", TEXT("v")}, {"n", INT(-1)}, {0}};
static const struct pair metadata[] = {
	{"n", INT(7)},
	{"u", {.type = MT_CEL_UINT, .u = 8}},
	{"d", {.type = MT_CEL_DOUBLE, .real = 1.5}},
	{"s", TEXT("seven")},
	{"yes", {.type = MT_CEL_BOOL, .yes = true}},
	{"none", {.type = MT_CEL_NULL}},
	{"b", BYTES("xy")},
	{"deep", MAP(deep)},
	{0},
};
static const struct mt_cel_value zones[] = {TEXT("a"), TEXT("b")};

#define ATTRIBUTE(name, ...)                                                                       \
	static struct mt_cel_value name(void *arg)                                                 \
	{                                                                                          \
		(void)arg;                                                                         \
		return (struct mt_cel_value)__VA_ARGS__;                                           \
	}

ATTRIBUTE(path, TEXT("/org.example.Demo/sayHello?x=1"))
ATTRIBUTE(method, TEXT("sayHello"))
ATTRIBUTE(size, INT(241))
ATTRIBUTE(start, {.type = MT_CEL_TIMESTAMP, .n = 1767323045, .ns = 678000000})
ATTRIBUTE(duration, {.type = MT_CEL_DURATION, .n = 5500000})
ATTRIBUTE(all_headers, MAP(headers))
ATTRIBUTE(code, INT(503))
ATTRIBUTE(flags, {.type = MT_CEL_UINT, .u = 6})
ATTRIBUTE(mtls, {.type = MT_CEL_BOOL, .yes = true})
ATTRIBUTE(address, TEXT("192.0.2.2:57632"))
ATTRIBUTE(port, INT(57632))
ATTRIBUTE(load, {.type = MT_CEL_DOUBLE, .real = 0.25})
ATTRIBUTE(raw, BYTES("\0\xff"
		     "a"))
ATTRIBUTE(zone_list, {.type = MT_CEL_LIST, .list = {zones, 2}})
ATTRIBUTE(all_metadata, MAP(metadata))
ATTRIBUTE(absent, {.type = MT_CEL_ABSENT})

static struct mt_cel_value from_arg(void *arg)
{
	return *(const struct mt_cel_value *)arg;
}

static const struct mt_cel_attribute attributes[] = {
	{"request.path", MT_CEL_STRING, 0, path},
	{"request.method", MT_CEL_STRING, 0, method},
	{"request.size", MT_CEL_INT, 0, size},
	{"request.time", MT_CEL_TIMESTAMP, 0, start},
	{"request.duration", MT_CEL_DURATION, 0, duration},
	{"request.headers", MT_CEL_MAP, MT_CEL_STRING, all_headers},
	{"response.code", MT_CEL_INT, 0, code},
	{"response.flags", MT_CEL_UINT, 0, flags},
	{"connection.mtls", MT_CEL_BOOL, 0, mtls},
	{"source.address", MT_CEL_STRING, 0, address},
	{"source.port", MT_CEL_INT, 0, port},
	{"upstream.load", MT_CEL_DOUBLE, 0, load},
	{"upstream.raw", MT_CEL_BYTES, 0, raw},
	{"upstream.zones", MT_CEL_LIST, MT_CEL_STRING, zone_list},
	{"metadata", MT_CEL_MAP, MT_CEL_DYN, all_metadata},
	{"test.absent", MT_CEL_STRING, 0, absent},
	{"test.arg", MT_CEL_DYN, 0, from_arg},
};

const struct mt_cel_attributes cel_attributes = {attributes, MT_ARRAY_LEN(attributes)};
