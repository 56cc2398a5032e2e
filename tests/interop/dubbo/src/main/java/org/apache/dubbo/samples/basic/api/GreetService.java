// SPDX-License-Identifier: Apache-2.0
package org.apache.dubbo.samples.basic.api;

/** A second interface on the same port. */
public interface GreetService {
    String greet(String name);
}
