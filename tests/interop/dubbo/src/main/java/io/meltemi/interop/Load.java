// SPDX-License-Identifier: Apache-2.0
package io.meltemi.interop;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.dubbo.rpc.RpcContext;
import org.apache.dubbo.samples.basic.api.DemoService;
import org.apache.dubbo.samples.basic.api.GreetService;

/** Calls from several threads over the one connection that Dubbo keeps to an address. */
final class Load {
    private final Consumer consumer;
    private final Args args;
    private final Tally tally = new Tally();
    private final AtomicInteger left;
    private volatile long deadline = Long.MAX_VALUE;

    Load(Consumer consumer, Args args) {
        this.consumer = consumer;
        this.args = args;
        left = new AtomicInteger(args.number("millis", 0) > 0 ? Integer.MAX_VALUE : args.number("count", 1000));
    }

    /** One call as the arguments ask for it. */
    private interface Call {
        String make();
    }

    private Call call() {
        int millis = args.number("slow-ms", 200);
        if (args.text("method", "sayHello").equals("greet")) {
            GreetService greet = consumer.refer(GreetService.class, null, null);
            return () -> greet.greet("meltemi");
        }
        DemoService demo = consumer.refer(DemoService.class, null, null);
        String name = args.text("name", "meltemi");
        return args.text("method", "sayHello").equals("slow") ? () -> demo.slow(millis) : () -> demo.sayHello(name);
    }

    /** What identifies the caller of the n-th call, if anything does: an attachment's name and value. */
    private String[] attachment(int n) {
        int keys = args.number("keys", 0);
        return keys > 0 ? new String[] {"user-id", "key-" + n % keys} : args.text("attach", "").split("=", 2);
    }

    /** After an error, so that calls that are refused at once do not use up a core. */
    private void rest() {
        try {
            Thread.sleep(args.number("pause-ms", 0));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void calls(Call call) {
        int n;
        while ((n = left.getAndDecrement()) > 0 && System.nanoTime() < deadline) {
            String[] attachment = attachment(n);
            if (attachment.length == 2) {
                RpcContext.getContext().setAttachment(attachment[0], attachment[1]);
            }
            long start = System.nanoTime();
            try {
                String answer = call.make();
                tally.answer(answer, System.nanoTime() - start);
                if (args.number("keys", 0) > 0) {
                    tally.key(attachment[1], answer);
                }
            } catch (Throwable e) {
                tally.error(e, System.nanoTime() - start);
                rest();
            }
        }
    }

    boolean run(Map<String, Object> out) throws Exception {
        Call call = call();
        List<Thread> threads = new ArrayList<>();
        System.out.println("{\"calling\": true}");
        System.out.flush();
        long start = System.nanoTime();
        if (args.number("millis", 0) > 0) {
            deadline = start + args.number("millis", 0) * 1_000_000L;
        }
        for (int i = 0; i < args.number("concurrency", 1); i++) {
            Thread thread = new Thread(() -> calls(call));
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
