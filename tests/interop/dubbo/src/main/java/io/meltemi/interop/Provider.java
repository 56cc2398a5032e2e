// SPDX-License-Identifier: Apache-2.0
package io.meltemi.interop;

import java.util.concurrent.CountDownLatch;
import org.apache.dubbo.config.ApplicationConfig;
import org.apache.dubbo.config.ProtocolConfig;
import org.apache.dubbo.config.RegistryConfig;
import org.apache.dubbo.config.ServiceConfig;
import org.apache.dubbo.config.bootstrap.DubboBootstrap;
import org.apache.dubbo.samples.basic.api.DemoService;
import org.apache.dubbo.samples.basic.api.GreetService;

/**
 * A Dubbo server without any registry.
 *
 * <p>--port 20880 --tag v1 --id s1 --delay 0 (ms per sayHello) --heartbeat 60000 (ms) --threads 64 --faults 0 (1: calls of
 * sayHello specify by their argument how they fail, and are printed). Prints one line when it serves; SIGTERM ends it the way Dubbo ends (READONLY to its clients first).
 */
public final class Provider {
    private Provider() {}

    private static <T> ServiceConfig<T> service(Class<T> type, T impl, String group, String version) {
        ServiceConfig<T> service = new ServiceConfig<>();
        service.setId(type.getSimpleName() + group); // Dubbo 2.7 keeps one service per id
        service.setInterface(type);
        service.setRef(impl);
        if (group != null) {
            service.setGroup(group);
        }
        if (version != null) {
            service.setVersion(version);
        }
        return service;
    }

    public static void main(String[] argv) throws Exception {
        Args args = new Args(argv);
        String self = args.text("tag", "v1") + "/" + args.text("id", "s1");
        int delay = args.number("delay", 0);

        ApplicationConfig application = new ApplicationConfig("interop-provider");
        application.setQosEnable(false);
        ProtocolConfig protocol = new ProtocolConfig("dubbo", args.number("port", 20880));
        protocol.setHost("0.0.0.0");
        protocol.setThreads(args.number("threads", 64));
        protocol.setHeartbeat(args.number("heartbeat", 60_000));

        DubboBootstrap.getInstance()
                .application(application)
                .registry(new RegistryConfig("N/A"))
                .protocol(protocol)
                .service(service(DemoService.class, new Demo(self, delay, args.number("faults", 0) != 0), null, null))
                .service(service(DemoService.class, new Demo(self + "/g1", delay), "g1", "1.0.0"))
                .service(service(DemoService.class, new Demo(self + "/g2", delay), "g2", "2.0.0"))
                .service(service(GreetService.class, (GreetService) name -> "greetings " + name + " from " + self, null, null))
                .start();
        System.out.println("{\"ready\": true, \"server\": \"" + self + "\"}");
        System.out.flush();
        new CountDownLatch(1).await();
    }
}
