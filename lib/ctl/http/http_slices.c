/* SPDX-License-Identifier: Apache-2.0 */
/* An answer that is made in slices, as fast as the client takes them, with other work of the control thread in between. */
#include "mt_ctl_http_priv.h"

#include <string.h>

#define BLOCK (32 * 1024) /* that the library asks for at once */

struct slices {
	struct mt_http_maker maker;
	struct mt_text_buf slice;
	size_t sent; /* of the slice */
	bool more;
};

static void slices_free(void *arg)
{
	struct slices *s = arg;

	s->maker.free(s->maker.arg);
	mt_text_fini(&s->slice);
	free(s);
}

/* 0: nothing yet; the library asks again in its next turn. */
static ssize_t slices_read(void *arg, uint64_t pos, char *buf, size_t max)
{
	struct slices *s = arg;
	size_t n;

	if (s->sent == s->slice.len && s->more) {
		s->slice.len = s->sent = 0;
		s->more = s->maker.next(s->maker.arg, &s->slice);
		if (s->slice.failed)
			return MHD_CONTENT_READER_END_WITH_ERROR;
	}
	n = MT_MIN(s->slice.len - s->sent, max);
	if (n == 0)
		return s->more ? 0 : MHD_CONTENT_READER_END_OF_STREAM;
	memcpy(buf, s->slice.p + s->sent, n);
	s->sent += n;
	return (ssize_t)n;
}

enum MHD_Result mt_http_slices(
	struct MHD_Connection *conn, const char *type, const struct mt_http_maker *m)
{
	struct slices *s = calloc(1, sizeof(*s));
	struct MHD_Response *r;
	enum MHD_Result rc;

	if (!s) {
		m->free(m->arg);
		return MHD_NO;
	}
	s->maker = *m;
	s->more = true;
	r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, slices_read, s, slices_free);
	if (!r) {
		slices_free(s);
		return MHD_NO;
	}
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache, max-age=0");
	rc = MHD_queue_response(conn, MHD_HTTP_OK, r);
	MHD_destroy_response(r);
	return rc;
}
