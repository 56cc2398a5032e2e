// SPDX-License-Identifier: Apache-2.0
package org.apache.dubbo.samples.basic.api;

public class DemoException extends Exception {
    private static final long serialVersionUID = 1L;

    public DemoException(String message) {
        super(message);
    }
}
