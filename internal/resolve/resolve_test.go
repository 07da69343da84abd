// SPDX-License-Identifier: Apache-2.0

package resolve_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/resolve"
)

// machine is one with files, devices and a DNS that tests change.
type machine struct {
	t *testing.T
	*resolve.Resolver
	dir string

	mu      sync.Mutex
	devices []string
	hosts   map[string][]string // a name without addresses is not found
}

func newMachine(t *testing.T, files map[string]string) *machine {
	m := &machine{t: t, dir: t.TempDir(), devices: []string{"lo", "eth0", "eth1"}, hosts: map[string][]string{}}
	for name, text := range files {
		m.write(name, text)
	}
	m.Resolver = resolve.New(resolve.Options{
		Eucalyptus: filepath.Join(m.dir, "eucalyptus.conf"), Malleed: filepath.Join(m.dir, "malleed.toml"),
		LookupHost: m.lookup, NetDevices: func() ([]string, error) {
			m.mu.Lock()
			defer m.mu.Unlock()
			return m.devices, nil
		},
	})
	return m
}

func (m *machine) write(name, text string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) lookup(_ context.Context, name string) ([]netip.Addr, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var addrs []netip.Addr
	for _, a := range m.hosts[name] {
		addrs = append(addrs, netip.MustParseAddr(a))
	}
	if addrs == nil {
		return nil, errors.New("no such host")
	}
	return addrs, nil
}

// run follows changes until the test ends.
func (m *machine) run() {
	ctx, cancel := context.WithCancel(m.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := m.Run(ctx); err != nil {
			m.t.Error(err)
		}
	}()
	m.t.Cleanup(func() { cancel(); <-done })
}

// paths prints what a list means: "iface0:san1 eth0 10.107.1.200:3260".
func (m *machine) paths(list string, advertised ...netip.AddrPort) []string {
	m.t.Helper()
	p, err := mallee.ParsePaths(list)
	if err != nil {
		m.t.Fatal(err)
	}
	return printed(m.Resolve(p, advertised))
}

func printed(r resolve.Resolution) []string {
	var lines []string
	for _, p := range r.Paths {
		where := p.Unresolved
		if where == "" {
			where = p.Portal.String()
		}
		lines = append(lines, strings.Join([]string{p.Text, p.NetDevice, where}, "|"))
	}
	for _, w := range r.Warnings {
		lines = append(lines, "! "+w)
	}
	return lines
}

func (m *machine) expect(list string, want ...string) {
	m.t.Helper()
	got := m.paths(list)
	for i := range got {
		got[i] = strings.ReplaceAll(got[i], m.dir+"/", "")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		m.t.Errorf("%s (-want +got)\n%s", list, diff)
	}
}

func TestLabelsAndAddresses(t *testing.T) {
	m := newMachine(t, map[string]string{"eucalyptus.conf": `STORAGE_INTERFACES="iface0=eth0,iface1=eth1,iface7=eth7"`})
	m.expect("iface0:10.107.1.200,10.107.1.201,iface1:10.108.1.200:3261,none:10.1.1.1,iface7:10.1.1.1",
		"iface0:10.107.1.200|eth0|10.107.1.200:3260",
		"10.107.1.201||10.107.1.201:3260",
		"iface1:10.108.1.200:3261|eth1|10.108.1.200:3261",
		`none:10.1.1.1||this machine has no label "none": name its device in [storage.interfaces] of malleed.toml or in STORAGE_INTERFACES of eucalyptus.conf`,
		`iface7:10.1.1.1|eth7|no network device eth7 on this machine, and the label "iface7" stands for it`,
	)
}

func TestNamesAreLookedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, nil)
		m.hosts["san1"] = []string{"10.107.1.201", "10.107.1.200"}
		m.run()
		m.expect("SAN1", "SAN1||SAN1 is being looked up")
		synctest.Wait()
		m.expect("SAN1", "SAN1||10.107.1.200:3260", "SAN1||10.107.1.201:3260")
		time.Sleep(time.Minute)
	})
}
