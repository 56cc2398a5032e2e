/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Retry delay specified by a server: google.rpc.RetryInfo in the details of a status
 * (google/rpc/error_details.proto; base64, gRPC over HTTP/2, "Custom-Metadata"), or Retry-After of
 * an HTTP error (RFC 9110 section 10.2.3).
 */
#include "common.pb-c.h"
#include "mt_grpc_priv.h"
#include "mt_pb.h"

#include <openssl/evp.h>
#include <string.h>
#include <time.h>

#define DETAILS_MAX    4096 /* characters */
#define DETAILS_MEMORY (64 * 1024)

/* Converts to ns: 0 if negative, at most MT_GRPC_RETRY_MAX. */
static uint64_t bounded(int64_t seconds, int32_t nanos)
{
	if (seconds < 0 || nanos < 0)
		return 0;
	if (seconds >= (int64_t)(MT_GRPC_RETRY_MAX / MT_SEC))
		return MT_GRPC_RETRY_MAX;
	return (uint64_t)seconds * MT_SEC + (uint32_t)MT_MIN(nanos, 999999999);
}

/*
 * Decodes base64, padded or not, into `out` of DETAILS_MAX + 4 bytes. Returns the length; 0:
 * invalid.
 */
static size_t bytes_of(const char *text, size_t len, uint8_t *out)
{
	char padded[DETAILS_MAX + 4];
	size_t pads;
	int n;

	while (len && text[len - 1] == '=')
		len--;
	if (len == 0 || len > DETAILS_MAX || len % 4 == 1)
		return 0;
	pads = (4 - len % 4) % 4;
	memcpy(padded, text, len);
	memset(padded + len, '=', pads);
	n = EVP_DecodeBlock(out, (const unsigned char *)padded, (int)(len + pads));
	return n < 0 ? 0 : (size_t)n - pads;
}

static bool is_retry_info(const Xds__Any *any)
{
	const char *name = strrchr(any->type_url, '/');

	return name && strcmp(name + 1, "google.rpc.RetryInfo") == 0;
}

static bool read_info(struct mt_pb_arena *arena, const Xds__Any *any, uint64_t *delay)
{
	const char *why;
	const Xds__RetryInfo *info = mt_pb_unpack(
		arena, &xds__retry_info__descriptor, any->value.data, any->value.len, &why);

	if (!info || !info->retry_delay)
		return false;
	*delay = bounded(info->retry_delay->seconds, info->retry_delay->nanos);
	return true;
}

bool mt_grpc_retry_details(const char *text, size_t len, uint64_t *delay)
{
	uint8_t bytes[DETAILS_MAX + 4];
	size_t n = bytes_of(text, len, bytes);
	const Xds__Status *status;
	struct mt_pb_arena arena;
	bool told = false;
	const char *why;

	if (n == 0)
		return false;
	mt_pb_arena_init(&arena, DETAILS_MEMORY);
	status = mt_pb_unpack(&arena, &xds__status__descriptor, bytes, n, &why);
	for (size_t i = 0; status && i < status->n_details && !told; i++)
		told = is_retry_info(status->details[i]) &&
		       read_info(&arena, status->details[i], delay);
	mt_pb_arena_fini(&arena);
	return told;
}

bool mt_grpc_retry_after(const char *text, int64_t wall, uint64_t *delay)
{
	struct tm tm = {0};
	const char *end;
	size_t digits = strspn(text, "0123456789");

	if (digits && digits < 10 && text[digits] == '\0') {
		*delay = bounded(atoll(text), 0);
		return true;
	}
	end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
	if (!end || *end)
		return false;
	*delay = bounded(MT_MAX((int64_t)timegm(&tm) - wall, (int64_t)0), 0);
	return true;
}
