/* SPDX-License-Identifier: Apache-2.0 */
#include "load.h"

#include <arpa/inet.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define DUBBO_HEADER 16
#define FRAME_MAX    (64u << 20)

static const char interface_name[] = "org.apache.dubbo.samples.basic.api.DemoService";

static void put(struct message *m, const void *bytes, size_t len)
{
	memcpy(m->bytes + m->len, bytes, len);
	m->len += (uint32_t)len;
}

static void put_u32(struct message *m, uint32_t v)
{
	v = htonl(v);
	put(m, &v, 4);
}

/* A hessian2 string of ASCII: one tag up to 31 characters, two bytes to 1,023, else chunks. */
static void put_string(struct message *m, const char *text, uint32_t len)
{
	uint8_t tag[3];

	while (len > 0x8000) {
		put(m, "R\x80\x00", 3);
		put(m, text, 0x8000);
		len -= 0x8000;
	}
	if (len <= 31) {
		tag[0] = (uint8_t)len;
		put(m, tag, 1);
	} else if (len <= 1023) {
		tag[0] = (uint8_t)(0x30 | len >> 8);
		tag[1] = (uint8_t)len;
		put(m, tag, 2);
	} else {
		tag[0] = 'S';
		tag[1] = (uint8_t)(len >> 8);
		tag[2] = (uint8_t)len;
		put(m, tag, 3);
	}
	put(m, text, len);
}

static void put_text(struct message *m, const char *text)
{
	put_string(m, text, (uint32_t)strlen(text));
}

static void dubbo_body(struct message *m, bool request, const char *text, uint32_t size)
{
	if (!request) {
		put(m, "\x91", 1);
		put_string(m, text, size);
		return;
	}
	put_text(m, "2.0.2");
	put_text(m, interface_name);
	put_text(m, "0.0.0");
	put_text(m, "sayHello");
	put_text(m, "Ljava/lang/String;");
	put_string(m, text, size);
	put(m, "H", 1);
	put_text(m, "path");
	put_text(m, interface_name);
	put_text(m, "interface");
	put_text(m, interface_name);
	put(m, "Z", 1);
}

static void make_dubbo(struct message *m, bool request, const char *text, uint32_t size)
{
	uint8_t header[DUBBO_HEADER] = {0xda, 0xbb, request ? 0xc2 : 0x02, request ? 0 : 20};
	uint32_t len;

	put(m, header, sizeof(header));
	dubbo_body(m, request, text, size);
	len = htonl(m->len - DUBBO_HEADER);
	memcpy(m->bytes + 12, &len, 4);
	m->id_off = 4;
	m->id_len = 8;
}

/* sayHello(1: string) or its result: field 1 of the call, field 0 of the reply. */
static void make_thrift(struct message *m, bool request, const char *text, uint32_t size)
{
	uint32_t len;

	put_u32(m, 0);
	put_u32(m, request ? 0x80010001u : 0x80010002u);
	put_u32(m, 8);
	put(m, "sayHello", 8);
	m->id_off = m->len;
	m->id_len = 4;
	put_u32(m, 0);
	put(m, request ? "\x0b\x00\x01" : "\x0b\x00\x00", 3);
	put_u32(m, size);
	put(m, text, size);
	put(m, "", 1);
	len = htonl(m->len - 4);
	memcpy(m->bytes, &len, 4);
}

struct message message_make(enum proto proto, bool request, uint32_t size)
{
	struct message m = {.bytes = malloc(size + size / 0x8000 * 3 + 512)};
	char *text = malloc(size + 1);

	memset(text, 'x', size);
	if (proto == PROTO_DUBBO)
		make_dubbo(&m, request, text, size);
	else
		make_thrift(&m, request, text, size);
	free(text);
	return m;
}

void message_set_id(struct message *m, uint64_t id)
{
	uint64_t wide = htobe64(id);
	uint32_t narrow = htonl((uint32_t)id);

	memcpy(m->bytes + m->id_off, m->id_len == 8 ? (void *)&wide : (void *)&narrow, m->id_len);
}

static uint32_t dubbo_length(const uint8_t *bytes, uint32_t len, uint64_t *id)
{
	uint32_t body;

	if (len < DUBBO_HEADER)
		return 0;
	memcpy(id, bytes + 4, 8);
	memcpy(&body, bytes + 12, 4);
	*id = be64toh(*id);
	body = ntohl(body);
	return bytes[0] == 0xda && bytes[1] == 0xbb && body < FRAME_MAX ? DUBBO_HEADER + body
									: UINT32_MAX;
}

static uint32_t thrift_length(const uint8_t *bytes, uint32_t len, uint64_t *id)
{
	uint32_t body, name, seqid;

	if (len < 12)
		return 0;
	memcpy(&body, bytes, 4);
	memcpy(&name, bytes + 8, 4);
	body = ntohl(body);
	name = ntohl(name);
	if (bytes[4] != 0x80 || body >= FRAME_MAX || name > 256)
		return UINT32_MAX;
	if (len < 16 + name)
		return 0;
	memcpy(&seqid, bytes + 12 + name, 4);
	*id = ntohl(seqid);
	return 4 + body;
}

uint32_t frame_length(enum proto proto, const uint8_t *bytes, uint32_t len, uint64_t *id)
{
	return proto == PROTO_DUBBO ? dubbo_length(bytes, len, id) : thrift_length(bytes, len, id);
}
