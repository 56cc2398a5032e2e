// SPDX-License-Identifier: Apache-2.0
package io.meltemi.interop;

import brave.Tracing;
import brave.dubbo.TracingFilter;
import brave.handler.MutableSpan;
import brave.handler.SpanHandler;
import brave.propagation.TraceContext;
import brave.rpc.RpcTracing;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.reflect.Method;
import java.util.Arrays;
import org.apache.dubbo.common.extension.ExtensionLoader;
import org.apache.dubbo.rpc.Filter;

/**
 * Runs a peer, Provider or Consumer, with Brave's filter for Dubbo, as Brave configures it by default: each span is a line of JSON in
 * the file BRAVE_SPANS, and BRAVE_NAME is the service's name.
 */
public final class Braved {
    private Braved() {}

    private static final class Lines extends SpanHandler {
        private final PrintStream out;

        Lines(String path) throws IOException {
            out = new PrintStream(new FileOutputStream(path, true), true, "UTF-8");
        }

        @Override
        public synchronized boolean end(TraceContext context, MutableSpan span, Cause cause) {
            out.print(String.format(
                    "{\"trace\": \"%s\", \"id\": \"%s\", \"parent\": \"%s\", \"kind\": \"%s\", \"shared\": %s}%n",
                    span.traceId(), span.id(), span.parentId() == null ? "" : span.parentId(), span.kind(),
                    Boolean.TRUE.equals(span.shared())));
            out.flush();
            return true;
        }
    }

    public static void main(String[] argv) throws Exception {
        System.setProperty("dubbo.provider.filter", "tracing");
        System.setProperty("dubbo.consumer.filter", "tracing");
        Tracing tracing = Tracing.newBuilder()
                .localServiceName(System.getenv("BRAVE_NAME"))
                .addSpanHandler(new Lines(System.getenv("BRAVE_SPANS")))
                .build();
        Filter filter = ExtensionLoader.getExtensionLoader(Filter.class).getExtension("tracing");
        ((TracingFilter) filter).setRpcTracing(RpcTracing.create(tracing));
        // The peers are built apart.
        Method main = Class.forName("io.meltemi.interop." + argv[0]).getMethod("main", String[].class);
        main.invoke(null, (Object) Arrays.copyOfRange(argv, 1, argv.length));
    }
}
