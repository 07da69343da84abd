// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"net"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mallee-io/mallee/internal/auth"
)

// Connections that may be open at a time: in all, and from one source, so that
// one machine cannot keep all others out. A connection takes some 100 KiB.
const (
	maxConnections       = 1024
	maxSourceConnections = 128
)

// limitedListener closes connections beyond the limits as soon as they are made.
// Leaving them to wait would keep everybody waiting behind them.
type limitedListener struct {
	net.Listener
	refused prometheus.Counter

	mu   sync.Mutex
	open map[string]int // by source
	all  int
}

func limit(l net.Listener, r prometheus.Registerer) *limitedListener {
	refused := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "mallee_api_connections_refused_total", Help: "Connections closed at once since there were too many.",
	})
	r.MustRegister(refused)
	return &limitedListener{Listener: l, refused: refused, open: map[string]int{}}
}

// Accept implements net.Listener.
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		source := auth.Source(c.RemoteAddr().String())
		if l.enter(source) {
			return &limitedConn{Conn: c, leave: sync.OnceFunc(func() { l.leave(source) })}, nil
		}
		l.refused.Inc()
		c.Close()
	}
}

func (l *limitedListener) enter(source string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all >= maxConnections || l.open[source] >= maxSourceConnections {
		return false
	}
	l.all++
	l.open[source]++
	return true
}

func (l *limitedListener) leave(source string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.open[source]--; l.open[source] == 0 {
		delete(l.open, source)
	}
}

type limitedConn struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	c.leave()
	return c.Conn.Close()
}
