/* SPDX-License-Identifier: Apache-2.0 */
/* A scrape by HTTP: in slices, as fast as the client takes them, with other work of the control thread in between. */
#include "mt_ctl_http_priv.h"
#include "mt_ctl_metrics_priv.h"

#include <string.h>

#define BLOCK (32 * 1024) /* that the library asks for at once */

struct answer {
	struct mt_scrape *scrape;
	struct mt_text_buf slice;
	size_t sent; /* of the slice */
	bool more;
};

static void answer_free(void *arg)
{
	struct answer *a = arg;

	if (a)
		mt_scrape_free(a->scrape);
	if (a)
		mt_text_fini(&a->slice);
	free(a);
}

/* 0: nothing yet; the library asks again in its next turn. */
static ssize_t answer_read(void *arg, uint64_t pos, char *buf, size_t max)
{
	struct answer *a = arg;
	size_t n;

	if (a->sent == a->slice.len && a->more) {
		a->slice.len = a->sent = 0;
		a->more = mt_scrape_next(a->scrape, &a->slice);
		if (a->slice.failed)
			return MHD_CONTENT_READER_END_WITH_ERROR;
	}
	n = MT_MIN(a->slice.len - a->sent, max);
	if (n == 0)
		return a->more ? 0 : MHD_CONTENT_READER_END_OF_STREAM;
	memcpy(buf, a->slice.p + a->sent, n);
	a->sent += n;
	return (ssize_t)n;
}

enum MHD_Result mt_http_metrics(struct mt_ctl *c, struct MHD_Connection *conn)
{
	enum mt_format format = mt_format_accepted(
		MHD_lookup_connection_value(conn, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT));
	struct answer *a = calloc(1, sizeof(*a));
	struct MHD_Response *r;
	enum MHD_Result rc;

	if (a)
		a->scrape = mt_scrape_new(c, format);
	if (!a || !a->scrape) {
		answer_free(a);
		return MHD_NO;
	}
	a->more = true;
	r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, answer_read, a, answer_free);
	if (!r) {
		answer_free(a);
		return MHD_NO;
	}
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, mt_format_type(format));
	rc = MHD_queue_response(conn, MHD_HTTP_OK, r);
	MHD_destroy_response(r);
	return rc;
}
