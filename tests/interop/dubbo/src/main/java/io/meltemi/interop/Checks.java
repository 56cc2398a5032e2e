// SPDX-License-Identifier: Apache-2.0
package io.meltemi.interop;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.dubbo.rpc.RpcContext;
import org.apache.dubbo.samples.basic.api.DemoException;
import org.apache.dubbo.samples.basic.api.DemoService;
import org.apache.dubbo.samples.basic.api.GreetService;
import org.apache.dubbo.samples.basic.api.Person;

/** Every shape of call once, each with its own verdict: "ok" or what was found instead. */
final class Checks {
    /** Milliseconds behind the time-out, when the answer comes: while the client is still there, and later than its timers on a busy machine. */
    private static final int LATE = 2400;
    private final Consumer consumer;
    private final Args args;
    private final Map<String, Object> verdicts = new TreeMap<>();
    private DemoService demo;

    Checks(Consumer consumer, Args args) {
        this.consumer = consumer;
        this.args = args;
    }

    /** A check answers null when all is well, else what is wrong. */
    private void check(String name, Callable<String> body) {
        String verdict;
        try {
            verdict = body.call();
        } catch (Throwable e) {
            verdict = Tally.kind(e) + ": " + String.valueOf(e.getMessage()).split("\n")[0];
        }
        verdicts.put(name, verdict == null ? "ok" : verdict);
    }

    private static String same(Object expected, Object found) {
        if (expected.equals(found)) {
            return null;
        }
        String text = String.valueOf(found);
        return "found " + (text.length() > 80 ? text.substring(0, 80) + "..." : text);
    }

    private static String text(int length) {
        StringBuilder out = new StringBuilder(length);
        String alphabet = "abcdefghij\u00e9\u4e2d\ud83d\ude00klm";
        while (out.length() + alphabet.length() <= length) {
            out.append(alphabet);
        }
        while (out.length() < length) {
            out.append('x');
        }
        return out.toString();
    }

    private String strings() {
        for (int length : new int[] {0, 1, 31, 32, 1023, 1024, 32767, 32768, 65536, 1 << 20}) {
            String sent = text(length);
            String wrong = same(sent, demo.echo(sent));
            if (wrong != null) {
                return length + " characters: " + wrong;
            }
        }
        return null;
    }

    private String pojo() {
        Person sent = new Person("Ada", 36);
        sent.getChildren().add(new Person("Byron", 10));
        Person expected = new Person("Ada", 36);
        expected.getChildren().add(new Person("Byron", 10));
        expected.setAge(37);
        return same(expected.toString(), demo.older(sent).toString());
    }

    private String exception() {
        try {
            demo.fail("as asked");
            return "no exception";
        } catch (DemoException e) {
            return same("as asked", e.getMessage());
        }
    }

    /** The notes that all servers have taken: each names its own count, and many calls reach them all. */
    private int notesTaken() {
        Map<String, Integer> byServer = new HashMap<>();
        for (int i = 0; i < 150; i++) {
            String[] answer = demo.notes().split(" from ");
            byServer.put(answer[1], Integer.parseInt(answer[0]));
        }
        return byServer.values().stream().mapToInt(Integer::intValue).sum();
    }

    /** Ten notes, taken by the servers some time later; other clients may add theirs. */
    private String oneWay() throws Exception {
        int before = notesTaken();
        for (int i = 0; i < 10; i++) {
            demo.note("note " + i);
        }
        int taken = 0;
        for (int i = 0; i < 20 && taken < 10; i++) {
            Thread.sleep(20);
            taken = notesTaken() - before;
        }
        return taken >= 10 ? null : "took " + taken + " of 10";
    }

    private String timeout() {
        int limit = args.number("timeout", 3000);
        long start = System.nanoTime();
        try {
            demo.slow(limit + LATE);
            return "no timeout";
        } catch (Exception e) {
            long millis = (System.nanoTime() - start) / 1_000_000;
            if (!Tally.kind(e).equals("timeout")) {
                return "kind " + Tally.kind(e);
            }
            return millis < limit - 100 || millis > limit + LATE - 200 ? "after " + millis + " ms" : null;
        }
    }

    private String attachments() {
        for (int i = 0; i < 20; i++) {
            RpcContext.getContext().setAttachment("user-id", "u" + i);
            RpcContext.getContext().setAttachment("trace", text(200));
            String wrong = same("u" + i, demo.attachment("user-id"));
            if (wrong != null) {
                return wrong;
            }
        }
        RpcContext.getContext().clearAttachments();
        return same("-", demo.attachment("user-id"));
    }

    private String async() throws Exception {
        CompletableFuture<String> future = demo.later("me");
        CompletableFuture<String> second = demo.later("you");
        String first = future.get(30, TimeUnit.SECONDS);
        if (!first.startsWith("later me from ")) {
            return first;
        }
        return second.get(30, TimeUnit.SECONDS).startsWith("later you from ") ? null : "second answer is wrong";
    }

    private String groups() {
        DemoService one = consumer.refer(DemoService.class, "g1", "1.0.0");
        DemoService two = consumer.refer(DemoService.class, "g2", "2.0.0");
        String first = one.sayHello("a");
        String second = two.sayHello("b");
        return first.endsWith("/g1") && second.endsWith("/g2") ? null : first + " and " + second;
    }

    /** Fifty callers on the one connection; each must get its own answer back, late ones too. */
    private String concurrent() throws Exception {
        AtomicInteger wrong = new AtomicInteger();
        Thread[] threads = new Thread[50];
        for (int i = 0; i < threads.length; i++) {
            String mark = "caller-" + i + "-";
            threads[i] = new Thread(() -> {
                for (int k = 0; k < 20; k++) {
                    try {
                        if (!demo.echo(mark + k).equals(mark + k)) {
                            wrong.incrementAndGet();
                        }
                    } catch (Exception e) {
                        wrong.incrementAndGet();
                    }
                }
            });
            threads[i].start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
        return wrong.get() == 0 ? null : wrong.get() + " of 1000 answers wrong";
    }

    /** Longer than two heartbeats without a call: the connection must be kept by them, not broken by them. */
    private String heartbeat() throws Exception {
        Thread.sleep(2L * args.number("heartbeat", 60_000) + 500);
        return demo.sayHello("after").startsWith("hello after from ") ? null : "no answer";
    }

    boolean run(Map<String, Object> out) {
        demo = consumer.refer(DemoService.class, null, null);
        check("string", () -> demo.sayHello("me").startsWith("hello me from ") ? null : "unexpected answer");
        check("strings-to-1MB", this::strings);
        check("pojo", this::pojo);
        check("list", () -> same(List.of("c", "b", "a"), demo.reversed(Arrays.asList("a", "b", "c"))));
        check("map", () -> same(Map.of("a", 1, "b", 2), new HashMap<>(demo.lengths(new HashMap<>(Map.of("a", "1", "b", "12"))))));
        check("exception", this::exception);
        check("one-way", this::oneWay);
        check("attachments", this::attachments);
        check("async", this::async);
        check("group-version", this::groups);
        check("second-interface", () -> {
            String answer = consumer.refer(GreetService.class, null, null).greet("me");
            return answer.startsWith("greetings me from ") ? null : answer;
        });
        check("50-concurrent", this::concurrent);
        check("timeout", this::timeout);
        check("after-timeout", () -> same("again", demo.echo("again")));
        if (args.number("heartbeat", 60_000) <= 5000) {
            check("heartbeat", this::heartbeat);
        }
        out.put("checks", verdicts);
        return verdicts.values().stream().allMatch("ok"::equals);
    }
}
