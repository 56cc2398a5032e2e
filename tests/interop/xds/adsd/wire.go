// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net"
	"sync"
	"time"
)

// What happens to the bytes under HTTP/2 and TLS.
type wireSettings struct {
	Freeze   bool   `json:"freeze"`   // nothing is written or read any more, and nothing is closed
	Rate     int    `json:"rate"`     // bytes per second that leave a connection; 0: as fast as it goes
	Cut      int    `json:"cut"`      // the connection is reset after so many bytes more; once
	Identity string `json:"identity"` // the certificate that is shown; "": the good one
}

// wire is what a plane's connections go through.
type wire struct {
	wireMu sync.Mutex
	conns  map[*conn]bool
}

type listener struct {
	net.Listener
	p *plane
}

type conn struct {
	net.Conn
	p      *plane
	closed chan struct{}
	once   sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: inner, p: l.p, closed: make(chan struct{})}
	l.p.wireMu.Lock()
	if l.p.conns == nil {
		l.p.conns = map[*conn]bool{}
	}
	l.p.conns[c] = true
	l.p.wireMu.Unlock()
	l.p.connected(1)
	return c, nil
}

func (c *conn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.p.wireMu.Lock()
		delete(c.p.conns, c)
		c.p.wireMu.Unlock()
		c.p.connected(-1)
	})
	return c.Conn.Close()
}

func (c *conn) reset() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// dropConnections resets every connection.
func (p *plane) dropConnections() int {
	p.wireMu.Lock()
	var all []*conn
	for c := range p.conns {
		all = append(all, c)
	}
	p.wireMu.Unlock()
	for _, c := range all {
		c.reset()
	}
	return len(all)
}

// wait returns when the connection is not frozen; false: it was closed meanwhile.
func (c *conn) wait() bool {
	for c.p.faults.get().Freeze {
		select {
		case <-c.closed:
			return false
		case <-time.After(10 * time.Millisecond):
		}
	}
	return true
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if !c.wait() {
		return 0, net.ErrClosed
	}
	return n, err
}

func (c *conn) Write(b []byte) (int, error) {
	done := 0
	for done < len(b) {
		if !c.wait() {
			return done, net.ErrClosed
		}
		piece, last := c.piece(len(b) - done)
		n, err := c.Conn.Write(b[done : done+piece])
		done += n
		if err != nil {
			return done, err
		}
		if last {
			c.reset()
			return done, net.ErrClosed
		}
	}
	return done, nil
}

// piece says how many of n bytes go now, after the pause that the rate asks for, and whether the connection ends behind them.
func (c *conn) piece(n int) (int, bool) {
	f := &c.p.faults
	f.faultsMu.Lock()
	rate, cut := f.now.Rate, f.now.Cut
	if rate > 0 {
		n = min(n, max(rate/50, 1))
	}
	last := cut > 0 && n >= cut
	if last {
		n = cut
		f.now.Cut = 0
	} else if cut > 0 {
		f.now.Cut -= n
	}
	f.faultsMu.Unlock()
	if rate > 0 {
		time.Sleep(time.Duration(n) * time.Second / time.Duration(rate))
	}
	return n, last
}
