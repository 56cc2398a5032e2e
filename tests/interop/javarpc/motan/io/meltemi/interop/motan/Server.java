// SPDX-License-Identifier: Apache-2.0
package io.meltemi.interop.motan;

import com.weibo.api.motan.common.MotanConstants;
import com.weibo.api.motan.config.ProtocolConfig;
import com.weibo.api.motan.config.RegistryConfig;
import com.weibo.api.motan.config.ServiceConfig;
import com.weibo.api.motan.rpc.RpcContext;
import com.weibo.api.motan.util.MotanSwitcherUtil;
import java.util.Arrays;

/** Server NAME: Motan 1 on port 8001, Motan 2 on 8002. */
public final class Server implements Hello {
    private final String name;

    private Server(String name) {
        this.name = name;
    }

    public static void main(String[] args) {
        Hello hello = new Server(args[0]);
        for (String version : new String[] {"1.0", "2.0"}) {
            RegistryConfig registry = new RegistryConfig();
            registry.setRegProtocol("local");
            ServiceConfig<Hello> service = new ServiceConfig<>();
            service.setInterface(Hello.class);
            service.setRef(hello);
            service.setApplication("lab");
            service.setModule("lab");
            service.setGroup("lab");
            service.setVersion(version);
            service.setRegistry(registry);
            service.setShareChannel(true);
            service.setProtocols(Arrays.asList(protocol("motan"), protocol("motan2")));
            service.setExport("motan:8001,motan2:8002");
            service.export();
        }
        MotanSwitcherUtil.setSwitcherValue(MotanConstants.REGISTRY_HEARTBEAT_SWITCHER, true);
        System.out.println("{\"ready\": true}");
    }

    private static ProtocolConfig protocol(String name) {
        ProtocolConfig protocol = new ProtocolConfig();
        protocol.setId(name);
        protocol.setName(name);
        return protocol;
    }

    /** The text "added" is answered with the attachment of this name. */
    @Override
    public String hello(String text) {
        return name + " " + (text.equals("added") ? RpcContext.getContext().getRequest().getAttachments().get(text) : text);
    }

    @Override
    public String slow(String text, int ms) {
        // A test kills the server when it has read the call.
        System.out.println("slow " + text);
        try {
            Thread.sleep(ms);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        return hello(text);
    }

    @Override
    public String fail(String text) {
        throw new IllegalStateException(text);
    }

    @Override
    public void note(String text) {
        System.out.println("note " + text);
    }
}
