// SPDX-License-Identifier: Apache-2.0
package io.meltemi.interop;

import java.util.Map;
import java.util.TreeMap;
import org.apache.dubbo.common.Version;
import org.apache.dubbo.config.ApplicationConfig;
import org.apache.dubbo.config.MethodConfig;
import org.apache.dubbo.config.ReferenceConfig;
import org.apache.dubbo.config.bootstrap.DubboBootstrap;

/**
 * A Dubbo client of one address, without any registry. Prints one JSON line.
 *
 * <p>--target HOST:PORT --scenario checks|load|readonly --count 1000 --concurrency 1 --millis 0 (load: run for so
 * long instead of counting) --attach key=value | --keys N (a user-id attachment from N values in turn)
 * --method sayHello|slow|greet --slow-ms 200 --timeout 3000 --heartbeat 60000
 */
public final class Consumer {
    private final Args args;
    private final ApplicationConfig application = new ApplicationConfig("interop-consumer");

    Consumer(Args args) {
        this.args = args;
        application.setQosEnable(false);
    }

    /** A proxy for one interface; calls are never retried, so that every error is seen. */
    <T> T refer(Class<T> type, String group, String version) {
        ReferenceConfig<T> reference = new ReferenceConfig<>();
        MethodConfig note = new MethodConfig();
        note.setName("note");
        note.setReturn(false);
        reference.setInterface(type);
        reference.setUrl("dubbo://" + args.text("target", "127.0.0.1:20880") + "/" + type.getName()
                + "?serialization=hessian2&prefer.serialization=hessian2&heartbeat=" + args.number("heartbeat", 60_000));
        reference.setTimeout(args.number("timeout", 3000));
        reference.setRetries(0);
        reference.setCheck(false);
        reference.setGroup(group);
        reference.setVersion(version);
        if (type.getSimpleName().equals("DemoService")) {
            reference.setMethods(java.util.Collections.singletonList(note));
        }
        DubboBootstrap.getInstance().reference(reference);
        return reference.get();
    }

    public static void main(String[] argv) throws Exception {
        Args args = new Args(argv);
        Consumer consumer = new Consumer(args);
        DubboBootstrap.getInstance().application(consumer.application);
        Map<String, Object> out = new TreeMap<>();
        String scenario = args.text("scenario", "checks");
        out.put("scenario", scenario);
        out.put("client", Version.getVersion());
        boolean good;
        switch (scenario) {
            case "checks":
                good = new Checks(consumer, args).run(out);
                break;
            case "load":
                good = new Load(consumer, args).run(out);
                break;
            case "readonly":
                good = new Readonly(consumer, args).run(out);
                break;
            default:
                throw new IllegalArgumentException("no scenario " + scenario);
        }
        out.put("passed", good);
        System.out.println(Json.of(out));
        System.out.flush();
        Runtime.getRuntime().halt(good ? 0 : 1);
    }
}
