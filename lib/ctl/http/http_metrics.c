/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scrape by HTTP: in slices, as fast as the client takes them, with other work of the control thread in between. Compressed for
 * who asks: names repeat, so that a tenth of the bytes is left.
 */
#include "mt_ctl_http_priv.h"
#include "mt_ctl_metrics_priv.h"

#include <string.h>
#include <zlib.h>

#define BLOCK (32 * 1024) /* that the library asks for at once */
/* Of windowBits: the largest window, in gzip's format (RFC 1952). */
#define GZIP_WINDOW (15 + 16)
#define GZIP_MEMORY 8

struct answer {
	struct mt_scrape *scrape;
	struct mt_text_buf slice;
	size_t sent;		/* of the slice */
	bool more, gzip, ended; /* ended: gzip has said all */
	z_stream z;
};

static void answer_free(void *arg)
{
	struct answer *a = arg;

	if (!a)
		return;
	if (a->gzip)
		(void)deflateEnd(&a->z);
	mt_scrape_free(a->scrape);
	mt_text_fini(&a->slice);
	free(a);
}

/* What there is of the slice, as it is or compressed; how many bytes of `buf` that takes. */
static size_t take(struct answer *a, char *buf, size_t max)
{
	size_t n = a->slice.len - a->sent;

	if (!a->gzip) {
		n = MT_MIN(n, max);
		memcpy(buf, a->slice.p + a->sent, n);
		a->sent += n;
		return n;
	}
	a->z.next_in = (Bytef *)a->slice.p + a->sent;
	a->z.avail_in = (uInt)n;
	a->z.next_out = (Bytef *)buf;
	a->z.avail_out = (uInt)max;
	a->ended = deflate(&a->z, a->more ? Z_NO_FLUSH : Z_FINISH) == Z_STREAM_END;
	a->sent += n - a->z.avail_in;
	return max - a->z.avail_out;
}

/* 0: nothing yet; the library asks again in its next turn. */
static ssize_t answer_read(void *arg, uint64_t pos, char *buf, size_t max)
{
	struct answer *a = arg;
	bool failed;
	size_t n = 0;

	if (a->sent == a->slice.len && a->more) {
		a->slice.len = a->sent = 0;
		a->more = mt_scrape_next(a->scrape, &(struct mt_sink){.text = &a->slice}, &failed);
		if (failed)
			return MHD_CONTENT_READER_END_WITH_ERROR;
	}
	if (a->slice.len > a->sent || (a->gzip && !a->more && !a->ended))
		n = take(a, buf, MT_MIN(max, (size_t)BLOCK));
	if (n == 0 && !a->more && (!a->gzip || a->ended))
		return MHD_CONTENT_READER_END_OF_STREAM;
	return (ssize_t)n;
}

/* Whether the client takes gzip (RFC 9110 section 12.5.3): named, and not with a weight of nothing. */
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

static struct answer *answer_new(
	struct mt_ctl *c, struct MHD_Connection *conn, enum mt_format format)
{
	struct answer *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->more = true;
	a->scrape = mt_scrape_new(c, format);
	/* Level 1: the time is the control thread's, and the second half of the gain costs three times as much. */
	a->gzip = takes_gzip(conn) && deflateInit2(&a->z, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW,
					      GZIP_MEMORY, Z_DEFAULT_STRATEGY) == Z_OK;
	if (a->scrape)
		return a;
	answer_free(a);
	return NULL;
}

enum MHD_Result mt_http_metrics(struct mt_ctl *c, struct MHD_Connection *conn)
{
	enum mt_format format = mt_format_accepted(
		MHD_lookup_connection_value(conn, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT));
	struct answer *a = answer_new(c, conn, format);
	struct MHD_Response *r;
	enum MHD_Result rc;

	if (!a)
		return MHD_NO;
	r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, answer_read, a, answer_free);
	if (!r) {
		answer_free(a);
		return MHD_NO;
	}
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, mt_format_type(format));
	MHD_add_response_header(r, MHD_HTTP_HEADER_VARY, "Accept, Accept-Encoding");
	if (a->gzip)
		MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
	rc = MHD_queue_response(conn, MHD_HTTP_OK, r);
	MHD_destroy_response(r);
	return rc;
}
