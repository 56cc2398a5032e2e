// SPDX-License-Identifier: Apache-2.0
package io.meltemi.interop;

import java.util.Map;
import org.apache.dubbo.samples.basic.api.DemoService;

/**
 * One call every 20 ms for --millis, each of which must be answered: the caller stops a server meanwhile, which
 * announces itself as read-only, and another goes on.
 */
final class Readonly {
    private final Consumer consumer;
    private final Args args;

    Readonly(Consumer consumer, Args args) {
        this.consumer = consumer;
        this.args = args;
    }

    boolean run(Map<String, Object> out) throws Exception {
        DemoService demo = consumer.refer(DemoService.class, null, null);
        Tally tally = new Tally();
        long deadline = System.nanoTime() + args.number("millis", 5000) * 1_000_000L;
        demo.sayHello("first");
        System.out.println("{\"calling\": true}");
        System.out.flush();
        while (System.nanoTime() < deadline) {
            long start = System.nanoTime();
            try {
                tally.answer(demo.sayHello("meltemi"), System.nanoTime() - start);
            } catch (Throwable e) {
                tally.error(e, System.nanoTime() - start);
            }
            Thread.sleep(20);
        }
        tally.put(out);
        return ((Long) out.get("failed")) == 0;
    }
}
