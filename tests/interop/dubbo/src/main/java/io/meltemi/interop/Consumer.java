// SPDX-License-Identifier: Apache-2.0
package io.meltemi.interop;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeMap;
import org.apache.dubbo.common.Version;
import org.apache.dubbo.config.ApplicationConfig;
import org.apache.dubbo.config.MethodConfig;
import org.apache.dubbo.config.ReferenceConfig;
import org.apache.dubbo.config.bootstrap.DubboBootstrap;
import org.apache.dubbo.rpc.RpcException;
import org.apache.dubbo.samples.basic.api.DemoService;

/**
 * A Dubbo client of one address, without any registry. Prints one JSON line for each scenario.
 *
 * <p>--target HOST:PORT --scenario checks|load|readonly|session --count 1000 --concurrency 1 --millis 0 (load: run for so
 * long instead of counting) --pause-ms 0 (after an error) --attach key=value | --keys N (a user-id attachment from N values in turn)
 * --method sayHello|slow|greet --name meltemi (sayHello's argument) --slow-ms 200 --timeout 3000 --connect-timeout 3000 --retries 0
 * --heartbeat 60000
 *
 * <p>session: one scenario for each line of arguments on standard input, with the same references and so over the same
 * connection.
 */
public final class Consumer {
    private final Args args;
    private final ApplicationConfig application = new ApplicationConfig("interop-consumer");
    private final Map<String, Object> references = new TreeMap<>();

    Consumer(Args args) {
        this.args = args;
        application.setQosEnable(false);
    }

    /** The proxy for one interface, made once. */
    <T> T refer(Class<T> type, String group, String version) {
        return type.cast(references.computeIfAbsent(type + "/" + group + "/" + version, key -> make(type, group, version)));
    }

    /** Without --retries calls are never retried, so that every error is seen. */
    private <T> T make(Class<T> type, String group, String version) {
        ReferenceConfig<T> reference = new ReferenceConfig<>();
        MethodConfig note = new MethodConfig();
        note.setName("note");
        note.setReturn(false);
        reference.setInterface(type);
        reference.setUrl("dubbo://" + args.text("target", "127.0.0.1:20880") + "/" + type.getName()
                + "?serialization=hessian2&prefer.serialization=hessian2&heartbeat=" + args.number("heartbeat", 60_000)
                + "&connect.timeout=" + args.number("connect-timeout", 3000));
        reference.setTimeout(args.number("timeout", 3000));
        reference.setRetries(args.number("retries", 0));
        reference.setCheck(false);
        reference.setGroup(group);
        reference.setVersion(version);
        if (type.getSimpleName().equals("DemoService")) {
            reference.setMethods(java.util.Collections.singletonList(note));
        }
        DubboBootstrap.getInstance().reference(reference);
        return reference.get();
    }

    private boolean play(Args scene) throws Exception {
        Map<String, Object> out = new TreeMap<>();
        String scenario = scene.text("scenario", "checks");
        out.put("scenario", scenario);
        out.put("client", Version.getVersion());
        boolean good;
        switch (scenario) {
            case "checks":
                good = new Checks(this, scene).run(out);
                break;
            case "load":
                good = new Load(this, scene).run(out);
                break;
            case "readonly":
                good = new Readonly(this, scene).run(out);
                break;
            default:
                throw new IllegalArgumentException("no scenario " + scenario);
        }
        out.put("passed", good);
        System.out.println(Json.of(out));
        System.out.flush();
        return good;
    }

    /** A cold JVM may take longer for its first calls than their timeout. */
    private static void warmUp(DemoService demo) throws InterruptedException {
        for (int left = 20; left > 0; left--) {
            try {
                demo.sayHello("first");
                return;
            } catch (RpcException e) {
                Thread.sleep(200);
            }
        }
        throw new IllegalStateException("no first answer");
    }

    private boolean session() throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        warmUp(refer(DemoService.class, null, null));
        System.out.println("{\"ready\": true}");
        System.out.flush();
        boolean good = true;
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            good = play(new Args(line.trim().split(" +"))) && good;
        }
        return good;
    }

    public static void main(String[] argv) throws Exception {
        Args args = new Args(argv);
        Consumer consumer = new Consumer(args);
        DubboBootstrap.getInstance().application(consumer.application);
        boolean good = args.text("scenario", "checks").equals("session") ? consumer.session() : consumer.play(args);
        Runtime.getRuntime().halt(good ? 0 : 1);
    }
}
