// SPDX-License-Identifier: Apache-2.0
package io.meltemi.interop;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.dubbo.rpc.RpcException;

/** Counts of answers by server and of errors by kind, and the latencies, of one run. */
final class Tally {
    private final Map<String, Integer> servers = new TreeMap<>();
    private final Map<String, Integer> errors = new TreeMap<>();
    private final List<Long> micros = new ArrayList<>();
    private final List<String> samples = new ArrayList<>();
    private long failed;
    private final Map<String, java.util.Set<String>> keys = new TreeMap<>();
    private final long began = System.nanoTime();
    private long slowestError;
    private long firstError;
    private long lastError;

    private static String server(String text) {
        int at = text.lastIndexOf(" from ");
        return at < 0 ? "?" : text.substring(at + 6);
    }

    /** Which server answered the caller of that key. */
    synchronized void key(String key, String text) {
        keys.computeIfAbsent(key, k -> new java.util.TreeSet<>()).add(server(text));
    }

    /** An answer "... from SERVER" after so many nanoseconds. */
    synchronized void answer(String text, long nanos) {
        servers.merge(server(text), 1, Integer::sum);
        micros.add(nanos / 1000);
    }

    synchronized void error(Throwable e, long nanos) {
        lastError = System.nanoTime() - began;
        firstError = failed == 0 ? lastError : firstError;
        failed++;
        slowestError = Math.max(slowestError, nanos / 1000);
        errors.merge(kind(e), 1, Integer::sum);
        if (samples.size() < 2) {
            samples.add(String.valueOf(e.getMessage()).split("\n")[0]);
        }
    }

    static String kind(Throwable e) {
        Throwable inner = e instanceof java.util.concurrent.ExecutionException && e.getCause() != null ? e.getCause() : e;
        if (!(inner instanceof RpcException)) {
            return inner.getClass().getSimpleName();
        }
        if (String.valueOf(inner.getMessage()).contains("Not found exported service")) {
            return "unexported"; // the provider's own answer
        }
        switch (((RpcException) inner).getCode()) {
            case RpcException.TIMEOUT_EXCEPTION:
                return "timeout";
            case RpcException.NETWORK_EXCEPTION:
                return "network";
            default:
                return "rpc-" + ((RpcException) inner).getCode();
        }
    }

    synchronized void put(Map<String, Object> out) {
        Collections.sort(micros);
        out.put("answered", micros.size());
        out.put("failed", failed);
        out.put("by_server", new TreeMap<>(servers));
        out.put("errors", new TreeMap<>(errors));
        out.put("error_samples", new ArrayList<>(samples));
        out.put("slowest_error_us", slowestError);
        out.put("error_span_ms", (lastError - firstError) / 1_000_000);
        if (!keys.isEmpty()) {
            out.put("keys", new TreeMap<>(keys));
        }
        Map<String, Object> latency = new TreeMap<>();
        latency.put("p50", at(0.50));
        latency.put("p99", at(0.99));
        latency.put("max", at(1.0));
        out.put("latency_us", latency);
    }

    private long at(double share) {
        return micros.isEmpty() ? 0 : micros.get((int) Math.min(micros.size() - 1, share * micros.size()));
    }
}
