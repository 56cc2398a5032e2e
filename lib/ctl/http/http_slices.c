/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers that are made in slices, at the speed at which the client reads, so that the control
 * thread does other work in between. Compressed if the client accepts gzip: names repeat, so that a
 * tenth of the bytes remains.
 */
#include "mt_ctl_http_priv.h"

#include <string.h>
#include <zlib.h>

#define BLOCK (32 * 1024) /* bytes that the library requests at once */
/* windowBits of zlib: the largest window, in gzip format (RFC 1952). */
#define GZIP_WINDOW (15 + 16)
#define GZIP_MEMORY 8

struct slices {
	struct mt_http_maker maker;
	struct mt_text_buf slice;
	size_t sent;		/* of the slice */
	bool more, gzip, ended; /* ended: deflate() has finished */
	z_stream z;
};

static void slices_free(void *arg)
{
	struct slices *s = arg;

	if (s->gzip)
		(void)deflateEnd(&s->z);
	s->maker.free(s->maker.arg);
	mt_text_fini(&s->slice);
	free(s);
}

/*
 * Copies or compresses the unsent part of the slice into `buf`. Returns the number of bytes
 * written.
 */
static size_t take(struct slices *s, char *buf, size_t max)
{
	size_t n = s->slice.len - s->sent;

	if (!s->gzip) {
		n = MT_MIN(n, max);
		memcpy(buf, s->slice.p + s->sent, n);
		s->sent += n;
		return n;
	}
	/* An empty answer has no buffer. */
	if (n)
		s->z.next_in = (Bytef *)s->slice.p + s->sent;
	s->z.avail_in = (uInt)n;
	s->z.next_out = (Bytef *)buf;
	s->z.avail_out = (uInt)max;
	s->ended = deflate(&s->z, s->more ? Z_NO_FLUSH : Z_FINISH) == Z_STREAM_END;
	s->sent += n - s->z.avail_in;
	return max - s->z.avail_out;
}

/* Content reader of libmicrohttpd. 0: no data yet, the library calls again in its next run. */
static ssize_t slices_read(void *arg, uint64_t pos, char *buf, size_t max)
{
	struct slices *s = arg;
	size_t n = 0;

	if (s->sent == s->slice.len && s->more) {
		s->slice.len = s->sent = 0;
		s->more = s->maker.next(s->maker.arg, &s->slice);
		if (s->slice.failed)
			return MHD_CONTENT_READER_END_WITH_ERROR;
	}
	if (s->slice.len > s->sent || (s->gzip && !s->more && !s->ended))
		n = take(s, buf, MT_MIN(max, (size_t)BLOCK));
	if (n == 0 && !s->more && (!s->gzip || s->ended))
		return MHD_CONTENT_READER_END_OF_STREAM;
	return (ssize_t)n;
}

/* True if the client accepts gzip (RFC 9110 section 12.5.3): listed, with a weight above 0. */
static bool takes_gzip(struct MHD_Connection *conn)
{
	const char *p =
		MHD_lookup_connection_value(conn, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT_ENCODING);

	while (p && *p) {
		size_t len;

		p += strspn(p, ", \t");
		len = strcspn(p, ",");
		if (len >= 4 && strncasecmp(p, "gzip", 4) == 0 &&
			(len == 4 || strchr("; \t", p[4])))
			return mt_media_quality(p, len) > 0;
		p += len;
	}
	return false;
}

static enum MHD_Result queue(struct MHD_Connection *conn, const char *type, struct slices *s)
{
	struct MHD_Response *r = MHD_create_response_from_callback(
		MHD_SIZE_UNKNOWN, BLOCK, slices_read, s, slices_free);
	enum MHD_Result rc;

	if (!r) {
		slices_free(s);
		return MHD_NO;
	}
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache, max-age=0");
	MHD_add_response_header(r, MHD_HTTP_HEADER_VARY, "Accept, Accept-Encoding");
	if (s->gzip)
		MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
	rc = MHD_queue_response(conn, MHD_HTTP_OK, r);
	MHD_destroy_response(r);
	return rc;
}

enum MHD_Result mt_http_slices(
	struct MHD_Connection *conn, const char *type, const struct mt_http_maker *m)
{
	struct slices *s = calloc(1, sizeof(*s));

	if (!s) {
		m->free(m->arg);
		return MHD_NO;
	}
	s->maker = *m;
	s->more = true;
	/*
	 * Level 1: compression takes time of the control thread, and the second half of the gain
	 * would cost three times as much.
	 */
	s->gzip = takes_gzip(conn) && deflateInit2(&s->z, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW,
					      GZIP_MEMORY, Z_DEFAULT_STRATEGY) == Z_OK;
	return queue(conn, type, s);
}
