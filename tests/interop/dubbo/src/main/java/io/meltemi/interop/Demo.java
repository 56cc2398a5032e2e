// SPDX-License-Identifier: Apache-2.0
package io.meltemi.interop;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.dubbo.rpc.RpcContext;
import org.apache.dubbo.samples.basic.api.DemoException;
import org.apache.dubbo.samples.basic.api.DemoService;
import org.apache.dubbo.samples.basic.api.Person;

/** The server's side of the scenarios. */
final class Demo implements DemoService {
    private final String self;
    private final int delay;
    private final boolean faults;
    private final AtomicInteger notes = new AtomicInteger();

    Demo(String self, int delay) {
        this(self, delay, false);
    }

    /** With faults, sayHello prints the name of each call and obeys it. */
    Demo(String self, int delay, boolean faults) {
        this.self = self;
        this.delay = delay;
        this.faults = faults;
    }

    /** FAULT.SERVERS.NUMBER: the fault has an effect at the servers with these ids. */
    private void obey(String name) {
        synchronized (notes) {
            System.out.println("{\"executed\": \"" + name + "\"}");
            System.out.flush();
        }
        String[] words = name.split("\\.");
        if (words.length < 3 || !words[1].contains(self.substring(self.indexOf('/') + 1))) {
            return;
        }
        if (words[0].equals("hang") || words[0].equals("reset")) {
            pause(8000);
        } else if (words[0].equals("error")) {
            throw new IllegalStateException("as asked");
        }
    }

    private static void pause(int millis) {
        try {
            Thread.sleep(millis);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public String sayHello(String name) {
        if (faults) {
            obey(name);
        }
        if (delay > 0) {
            pause(delay);
        }
        return "hello " + name + " from " + self;
    }

    @Override
    public String echo(String text) {
        return text;
    }

    @Override
    public Person older(Person person) {
        person.setAge(person.getAge() + 1);
        return person;
    }

    @Override
    public List<String> reversed(List<String> items) {
        List<String> answer = new ArrayList<>(items);
        Collections.reverse(answer);
        return answer;
    }

    @Override
    public Map<String, Integer> lengths(Map<String, String> texts) {
        Map<String, Integer> answer = new TreeMap<>();
        texts.forEach((key, value) -> answer.put(key, value.length()));
        return answer;
    }

    @Override
    public String fail(String reason) throws DemoException {
        throw new DemoException(reason);
    }

    @Override
    public void note(String text) {
        notes.incrementAndGet();
    }

    @Override
    public String mark() {
        notes.incrementAndGet();
        return "marked by " + self;
    }

    @Override
    public String notes() {
        return notes.get() + " from " + self;
    }

    @Override
    public String slow(int millis) {
        pause(millis);
        return "slow " + millis + " from " + self;
    }

    @Override
    public CompletableFuture<String> later(String name) {
        return CompletableFuture.supplyAsync(
                () -> "later " + name + " from " + self,
                CompletableFuture.delayedExecutor(20, TimeUnit.MILLISECONDS));
    }

    @Override
    public String attachment(String key) {
        Object value = RpcContext.getContext().getAttachment(key);
        return value == null ? "-" : value.toString();
    }
}
