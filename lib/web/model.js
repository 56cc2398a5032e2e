// SPDX-License-Identifier: Apache-2.0
// Computes current rates and percentiles from the counters of two answers of the daemon.

const RATE_MS = 5500, LATENCY_MS = 30500, KEPT_MS = 62000;

export const serviceKey = (row) => `${row.service} ${row.listener}`;
export const endpointKey = (row) => `${row.cluster} ${row.endpoint}`;
const inOrder = new Intl.Collator("en", { numeric: true }).compare;
// Order on the page: by address and name, so that positions stay the same from one second to the next.
export const byPlace = (a, b) => inOrder(a.listener, b.listener) || inOrder(a.service, b.service);
const failuresOf = (row) => row.failures ?? row.refused ?? row.app_errors + row.protocol_errors + row.local_replies + row.client_closed + row.reset;

// Opaque TCP services have no calls: their "requests" are connections, and their traffic is bits.
// So are ports that are forwarded at layer 4, with flows as their requests.
export const isForwarded = (row) => row.flows_made !== undefined;
export const isOpaque = (row) => row.protocol === "tcp" || isForwarded(row);
export const allServices = (t) => [...t.services, ...(t.forwarded ?? [])].sort(byPlace);
const bytesOf = (row) => row.opaque_bytes ?? row.bytes ?? (isOpaque(row) ? (row.bytes_in ?? 0) + (row.bytes_out ?? 0) : 0);
const BITS_A_CALL = 8192; // as much of opaque TCP is drawn like a call

function counted(row, latency = new Map()) {
  return { requests: row.requests ?? row.flows_made ?? 0, failures: failuresOf(row) || 0, bytes: bytesOf(row), latency };
}

// Names of the clusters that only opaque services lead to.
export function opaqueClusters(t) {
  const opaque = new Set(allServices(t).filter(isOpaque).map(serviceKey)), of = (link) => opaque.has(serviceKey(link));
  const calls = new Set(t.links.filter((link) => !of(link)).map((link) => link.cluster));
  return new Set(t.links.filter((link) => of(link) && !calls.has(link.cluster)).map((link) => link.cluster));
}

// The counters of one answer by key; everything that rates do not need is left out.
function sample(data, at) {
  const t = data.topology, rows = new Map();
  for (const row of allServices(t)) rows.set("s " + serviceKey(row), counted(row, new Map(row.latency)));
  for (const row of t.endpoints) rows.set("e " + endpointKey(row), counted(row, new Map(row.latency)));
  for (const row of t.clusters) rows.set("c " + row.cluster, counted(row));
  for (const row of data.workers.workers) rows.set("w " + row.worker, { run: row.run_ms, work: row.work_ms });
  for (const row of data.ports.ports) rows.set("p " + row.name, { rx: row.rx_bytes ?? 0, tx: row.tx_bytes ?? 0 });
  rows.set("all", counted(t));
  return { at, pid: data.version.pid, rows };
}

// The percentile `share` (0 to 1) of the observations in these buckets, µs; null: there are none.
function percentile(buckets, share) {
  const sorted = [...buckets].sort((a, b) => a[0] - b[0]);
  const total = sorted.reduce((sum, [, n]) => sum + n, 0);
  let seen = 0;
  for (const [us, n] of sorted) if ((seen += n) >= total * share) return us;
  return null;
}

function grown(now, before) {
  const out = new Map();
  for (const [us, n] of now) {
    const more = n - (before.get(us) ?? 0);
    if (more > 0) out.set(us, more);
  }
  return out;
}

export class Model {
  constructor() { this.samples = []; this.history = []; }

  take(data, at) {
    const s = sample(data, at), last = this.samples.at(-1);
    // After a restart the daemon's counters start at zero.
    if (last && last.pid !== s.pid) { this.samples = []; this.history = []; }
    this.samples.push(s);
    while (at - this.samples[0].at > KEPT_MS) this.samples.shift();
    this.data = data;
    const all = this.rate("all", 2500);
    if (all) this.history.push({ at, ...all });
    while (this.history.length && at - this.history[0].at > KEPT_MS) this.history.shift();
  }

  // The oldest sample with the key within the last `ms`, and the newest, with the seconds between them; null: there are no two.
  span(key, ms) {
    const last = this.samples.at(-1);
    const first = this.samples.find((s) => last.at - s.at <= ms && s.rows.has(key));
    return first && first !== last && last.rows.has(key) ? [first, last, (last.at - first.at) / 1000] : null;
  }

  rate(key, ms = RATE_MS) {
    const span = this.span(key, ms);
    if (!span) return null;
    const a = span[0].rows.get(key), b = span[1].rows.get(key);
    const per = (name) => Math.max(0, b[name] - a[name]) / span[2];
    return { requests: per("requests"), failures: per("failures"), bits: 8 * per("bytes") };
  }

  latency(keys) {
    const sum = new Map();
    for (const key of keys) {
      const span = this.span(key, LATENCY_MS);
      if (!span) continue;
      for (const [us, n] of grown(span[1].rows.get(key).latency, span[0].rows.get(key).latency)) sum.set(us, (sum.get(us) ?? 0) + n);
    }
    return { p50: percentile(sum, 0.5), p99: percentile(sum, 0.99) };
  }

  now(key) {
    const rate = this.rate(key) ?? { requests: null, failures: null, bits: null };
    return { ...rate, flow: rate.requests + rate.bits / BITS_A_CALL, ...this.latency([key]) };
  }

  load(worker) {
    const span = this.span("w " + worker, RATE_MS);
    if (!span) return null;
    const a = span[0].rows.get("w " + worker), b = span[1].rows.get("w " + worker);
    return b.run > a.run ? Math.min(1, (b.work - a.work) / (b.run - a.run)) : null;
  }

  bits(port) {
    const span = this.span("p " + port, RATE_MS);
    if (!span) return null;
    const a = span[0].rows.get("p " + port), b = span[1].rows.get("p " + port);
    return { rx: (8 * (b.rx - a.rx)) / span[2], tx: (8 * (b.tx - a.tx)) / span[2] };
  }
}

// ---- numbers for people --------------------------------------------------------------------------

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export function count(n) { return whole.format(n); }

export function perSecond(n) {
  if (n === null || n === undefined) return "–";
  if (n === 0) return "0";
  if (n < 0.1) return "< 0.1";
  if (n < 10) return n.toFixed(1);
  return n < 100000 ? whole.format(n) : `${whole.format(n / 1000)} k`;
}

export function duration(us) {
  if (us === null || us === undefined) return "–";
  if (us < 1000) return `${us} µs`;
  if (us < 1e6) return `${(us / 1000).toPrecision(us < 100000 ? 2 : 3)} ms`;
  return `${(us / 1e6).toPrecision(2)} s`;
}

export function bitsPerSecond(n) {
  if (n === null || n === undefined) return "–";
  for (const [unit, size] of [["Gbit/s", 1e9], ["Mbit/s", 1e6], ["kbit/s", 1e3]]) if (n >= size) return `${(n / size).toPrecision(3)} ${unit}`;
  return `${Math.round(n)} bit/s`;
}

// The traffic of a service: calls, or bits of opaque TCP.
export const traffic = (now, row) => (isOpaque(row) ? bitsPerSecond(now.bits) : `${perSecond(now.requests)}/s`);

// An endpoint's share of it; bytes are not counted by endpoint.
export const endpointTraffic = (now, row, opaque) => (opaque ? plural(row.connections ?? 0, "connection") : `${perSecond(now.requests)}/s`);

function plural(n, thing) { return `${count(n)} ${thing}${n === 1 ? "" : "s"}`; }

export function percent(share) {
  if (share === 0) return "0 %";
  return share < 0.001 ? "< 0.1 %" : `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
}

export function uptime(s) {
  const d = Math.floor(s / 86400), h = Math.floor(s / 3600) % 24, m = Math.floor(s / 60) % 60;
  if (d) return `${d} d ${h} h`;
  return h ? `${h} h ${m} min` : m ? `${m} min` : `${s} s`;
}

// Shows "outbound|20880|v1|shop" as "v1 · shop": the parts in which clusters differ, subset first.
export function clusterName(name) {
  const parts = name.split("|");
  return parts.length === 4 ? `${parts[2] ? `${parts[2]} · ` : ""}${parts[3]}` : name;
}
