/* SPDX-License-Identifier: Apache-2.0 */
/* The size of records, and records that are not the user's. */
#include "record_priv.h"

#include <errno.h>

#define SMALL_UNTIL (100u << 10)
#define IDLE_MS	    1000

static uint32_t overhead(const struct mt_tls_record *r)
{
	return r->before + r->behind;
}

uint32_t mt_tls_record_size(struct mt_tls_record *r, uint32_t mss, uint64_t now)
{
	uint32_t ms = (uint32_t)(now / MT_MSEC);

	if (ms - r->tx_ms > IDLE_MS)
		r->tx_silent = r->tx_bytes;
	r->tx_ms = ms;
	if (r->tx_bytes - r->tx_silent >= SMALL_UNTIL)
		return MT_TLS_RECORD_PLAIN;
	if (mss < MT_TLS_RECORD_LEAST + overhead(r))
		return MT_TLS_RECORD_LEAST;
	return MT_MIN(mss - overhead(r), MT_TLS_RECORD_PLAIN);
}

int mt_tls_record_write(struct mt_tls_records *w, struct mt_tls_record *r, struct mt_chain *plain,
	struct mt_chain *out, uint32_t mss, uint64_t now)
{
	int rc = 0;

	while (plain->len && rc == 0) {
		uint32_t n = mt_tls_record_size(r, mss, now);

		rc = mt_tls_record_seal(w, r, plain, MT_MIN(n, plain->len), out);
	}
	return rc;
}

static int alert(struct mt_tls_records *w, struct mt_tls_record *r, uint8_t level,
	enum mt_tls_alert what, struct mt_chain *out)
{
	const uint8_t bytes[] = {level, (uint8_t)what};

	return mt_tls_record_seal_bytes(w, r, CONTENT_ALERT, bytes, sizeof(bytes), out);
}

int mt_tls_record_own(struct mt_tls_records *w, struct mt_tls_record *r, struct mt_chain *out)
{
	int rc = 0;

	if (r->tx_over)
		return 0;
	if (r->due & MT_TLS_RECORD_DUE_REFUSAL) {
		rc = alert(w, r, 1, MT_TLS_NO_RENEGOTIATION, out);
		if (rc)
			return rc;
		r->due &= (uint8_t)~MT_TLS_RECORD_DUE_REFUSAL;
		mt_count(w->counts, MT_TLS_RECORD_N_NO_RENEGOTIATION);
	}
	if (r->due & MT_TLS_RECORD_DUE_UPDATE)
		rc = mt_tls_record_update(w, r, false, out);
	return rc;
}

int mt_tls_record_end(struct mt_tls_records *w, struct mt_tls_record *r, enum mt_tls_alert what,
	struct mt_chain *out)
{
	int rc = alert(w, r, what == MT_TLS_CLOSE_NOTIFY ? 1 : 2, what, out);

	if (rc == 0) {
		r->tx_over = true;
		r->due = 0;
	}
	return rc;
}
