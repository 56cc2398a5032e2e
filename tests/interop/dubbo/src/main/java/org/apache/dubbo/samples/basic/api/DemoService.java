// SPDX-License-Identifier: Apache-2.0
package org.apache.dubbo.samples.basic.api;

import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/** What the interop scenarios call. Each method exercises one shape of request or reply. */
public interface DemoService {
    /** "hello NAME from TAG/ID": names the server that answered. */
    String sayHello(String name);

    /** The same string back, of any length. */
    String echo(String text);

    /** The same person, one year older. */
    Person older(Person person);

    List<String> reversed(List<String> items);

    Map<String, Integer> lengths(Map<String, String> texts);

    String fail(String reason) throws DemoException;

    /** Called one-way: no reply ever comes. */
    void note(String text);

    /** A note without an argument, so that a caller need not say of what types they are. */
    String mark();

    /** "NUMBER from TAG/ID": how many notes this server has taken. */
    String notes();

    /** Answers after so many milliseconds. */
    String slow(int millis);

    CompletableFuture<String> later(String name);

    /** The value of a request attachment as the server saw it, or "-". */
    String attachment(String key);
}
