// SPDX-License-Identifier: Apache-2.0
package io.meltemi.interop;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.dubbo.rpc.RpcContext;
import org.apache.dubbo.samples.basic.api.DemoService;

/** Calls from several threads over the one connection that Dubbo keeps to an address. */
final class Load {
    private final Consumer consumer;
    private final Args args;
    private final Tally tally = new Tally();
    private final AtomicInteger left;
    private final long deadline;

    Load(Consumer consumer, Args args) {
        this.consumer = consumer;
        this.args = args;
        int millis = args.number("millis", 0);
        left = new AtomicInteger(millis > 0 ? Integer.MAX_VALUE : args.number("count", 1000));
        deadline = millis > 0 ? System.nanoTime() + millis * 1_000_000L : Long.MAX_VALUE;
    }

    private void calls(DemoService demo, String method, int millis, String[] attach) {
        while (left.getAndDecrement() > 0 && System.nanoTime() < deadline) {
            long start = System.nanoTime();
            try {
                if (attach.length == 2) {
                    RpcContext.getContext().setAttachment(attach[0], attach[1]);
                }
                String answer = method.equals("slow") ? demo.slow(millis) : demo.sayHello("meltemi");
                tally.answer(answer, System.nanoTime() - start);
            } catch (Throwable e) {
                tally.error(e, System.nanoTime() - start);
            }
        }
    }

    boolean run(Map<String, Object> out) throws Exception {
        DemoService demo = consumer.refer(DemoService.class, null, null);
        String method = args.text("method", "sayHello");
        String[] attach = args.text("attach", "").split("=", 2);
        List<Thread> threads = new ArrayList<>();
        long start = System.nanoTime();
        for (int i = 0; i < args.number("concurrency", 1); i++) {
            Thread thread = new Thread(() -> calls(demo, method, args.number("slow-ms", 200), attach));
            thread.start();
            threads.add(thread);
        }
        for (Thread thread : threads) {
            thread.join();
        }
        out.put("seconds", (System.nanoTime() - start) / 1e9);
        tally.put(out);
        return true;
    }
}
