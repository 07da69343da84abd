// SPDX-License-Identifier: Apache-2.0

package resolve_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

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
	hosts   map[string][]string
	dns     map[string]error // what DNS says to "ip4", to "ip6"; nil while it answers
	asked   int
	log     bytes.Buffer
}

func newMachine(t *testing.T, files map[string]string) *machine {
	m := &machine{t: t, dir: filepath.Join(t.TempDir(), "etc"), devices: []string{"lo", "eth0", "eth1"}, hosts: map[string][]string{}}
	if err := os.Mkdir(m.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		m.write(name, text)
	}
	m.Resolver = resolve.New(resolve.Options{
		Eucalyptus: filepath.Join(m.dir, "eucalyptus.conf"), Malleed: filepath.Join(m.dir, "malleed.toml"),
		Log: slog.New(slog.NewTextHandler(m, nil)), LookupNetIP: m.lookup, NetDevices: m.netDevices,
	})
	return m
}

func (m *machine) change(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
}

func (m *machine) write(name, text string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// Write takes lines of the log.
func (m *machine) Write(line []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.log.Write(line)
}

func (m *machine) logged(text string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Count(m.log.String(), text)
}

func (m *machine) netDevices() ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.devices == nil {
		return nil, errors.New("no buffer space available")
	}
	return m.devices, nil
}

func (m *machine) lookup(ctx context.Context, network, name string) ([]netip.Addr, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	if _, limited := ctx.Deadline(); !limited {
		m.t.Errorf("the look-up of %s has no deadline", name)
	}
	if m.dns[network] != nil {
		return nil, m.dns[network]
	}
	var addrs []netip.Addr
	for _, a := range m.hosts[name] {
		if addr := netip.MustParseAddr(a); addr.Unmap().Is4() == (network == "ip4") {
			addrs = append(addrs, addr)
		}
	}
	if addrs == nil {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
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

func parse(t *testing.T, list string) mallee.Paths {
	t.Helper()
	p, err := mallee.ParsePaths(list)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// lines prints "iface0:san1 eth0 10.107.1.200:3260" for each path, and warnings.
func (m *machine) lines(r resolve.Resolution) []string {
	var lines []string
	for _, p := range r.Paths {
		words := []string{p.Text}
		if p.NetDevice != "" {
			words = append(words, p.NetDevice)
		}
		if p.Portal.IsValid() {
			words = append(words, p.Portal.String())
		}
		if p.Unresolved != "" {
			words = append(words, "? "+p.Unresolved)
		}
		lines = append(lines, strings.Join(words, " "))
	}
	for _, w := range r.Warnings {
		lines = append(lines, "! "+strings.ReplaceAll(w, m.dir+"/", ""))
	}
	return lines
}

func (m *machine) expect(list string, want ...string) {
	m.t.Helper()
	if diff := cmp.Diff(want, m.lines(m.Resolve(parse(m.t, list), nil))); diff != "" {
		m.t.Errorf("%s (-want +got)\n%s", list, diff)
	}
}

func TestLabels(t *testing.T) {
	const conf = `STORAGE_INTERFACES="iface0=eth0,iface1=eth1,iface7=eth7"`
	for _, test := range []struct {
		name, eucalyptus, malleed string
		list                      string
		want                      []string
	}{
		{"each element its own", conf, "", "iface0:10.107.1.200,10.107.1.201,iface1:10.108.1.200:3261", []string{
			"iface0:10.107.1.200 eth0 10.107.1.200:3260", "10.107.1.201 10.107.1.201:3260", "iface1:10.108.1.200:3261 eth1 10.108.1.200:3261",
		}},
		{"a missing one leaves the others", conf, "", "none:10.107.1.200,iface1:10.108.1.200", []string{
			`none:10.107.1.200 ? this machine has no label "none": name its device in [storage.interfaces] of malleed.toml or in STORAGE_INTERFACES of eucalyptus.conf`,
			"iface1:10.108.1.200 eth1 10.108.1.200:3260",
		}},
		{"a missing device leaves the others", conf, "", "iface7:10.107.1.200,iface1:10.108.1.200", []string{
			`iface7:10.107.1.200 eth7 ? no network device eth7 on this machine, and the label "iface7" stands for it`,
			"iface1:10.108.1.200 eth1 10.108.1.200:3260",
		}},
		{"a shell command leaves the others", `STORAGE_INTERFACES="iface0=;reboot,iface1=eth1"`, "", "iface0:10.107.1.200,iface1:10.108.1.200", []string{
			`iface0:10.107.1.200 ? this machine has no label "iface0": name its device in [storage.interfaces] of malleed.toml or in STORAGE_INTERFACES of eucalyptus.conf`,
			"iface1:10.108.1.200 eth1 10.108.1.200:3260",
			`! eucalyptus.conf: line 1: "iface0=;reboot" is left out: ";reboot" is no name of a network device`,
		}},
		{"our table alone", "", "[storage.interfaces]\niface0='eth1'\n", "iface0:10.107.1.200", []string{"iface0:10.107.1.200 eth1 10.107.1.200:3260"}},
		{"our table counts", conf, "[storage.interfaces]\niface0='eth1'\niface1='eth1'\n", "iface0:10.107.1.200", []string{
			"iface0:10.107.1.200 eth1 10.107.1.200:3260",
			`! the label "iface0" is eth1 in malleed.toml, which counts, and eth0 in eucalyptus.conf`,
		}},
		{"two labels of one device", `STORAGE_INTERFACES="a=eth0,b=eth0"`, "", "a:10.107.1.200,b:10.107.1.200,10.107.1.200", []string{
			"a:10.107.1.200 eth0 10.107.1.200:3260", "10.107.1.200 10.107.1.200:3260",
			`! "a:10.107.1.200" and "b:10.107.1.200" are one path: both are 10.107.1.200:3260 over eth0`,
		}},
		{"link-local", conf, "", "iface0:[fe80::1],iface1:[fe80::1],[fe80::1%eth1],[fe80::2%eth7]", []string{
			"iface0:[fe80::1] eth0 [fe80::1%eth0]:3260", "iface1:[fe80::1] eth1 [fe80::1%eth1]:3260",
			"[fe80::2%eth7] ? no network device eth7 on this machine",
			`! "iface1:[fe80::1]" and "[fe80::1%eth1]" are one path: both are [fe80::1%eth1]:3260`,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newMachine(t, map[string]string{"eucalyptus.conf": test.eucalyptus, "malleed.toml": test.malleed})
			m.expect(test.list, test.want...)
		})
	}
}

func TestLabelsAreShown(t *testing.T) {
	m := newMachine(t, map[string]string{"eucalyptus.conf": "STORAGE_INTERFACES=b=eth7,c=eth0", "malleed.toml": "[storage.interfaces]\na='eth1'\nc='eth1'\n"})
	want := []mallee.InterfaceLabel{
		{Label: "a", NetDevice: "eth1", Source: m.dir + "/malleed.toml"},
		{Label: "b", NetDevice: "eth7", Source: m.dir + "/eucalyptus.conf", Problem: "no network device eth7 on this machine"},
		{Label: "c", NetDevice: "eth1", Source: m.dir + "/malleed.toml"},
	}
	if diff := cmp.Diff(want, m.Labels()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestNoPathIsWhatTheSANAdvertises(t *testing.T) {
	m := newMachine(t, nil)
	advertised := []netip.AddrPort{
		netip.MustParseAddrPort("10.108.1.200:3260"), netip.MustParseAddrPort("10.107.1.200:3261"), netip.MustParseAddrPort("10.108.1.200:3260"),
		netip.MustParseAddrPort("[2001:db8::1]:3260"), netip.MustParseAddrPort("[fe80::1]:3260"),
	}
	want := []string{
		"10.108.1.200:3260 10.108.1.200:3260", "10.107.1.200:3261 10.107.1.200:3261", "[2001:db8::1]:3260 [2001:db8::1]:3260",
		"[fe80::1]:3260 ? a link-local address needs a label, which tells its network device",
	}
	if diff := cmp.Diff(want, m.lines(m.Resolve(mallee.Paths{Any: true}, advertised))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := m.Resolve(mallee.Paths{Any: true}, nil); len(got.Paths)+len(got.Warnings) != 0 {
		t.Errorf("of nothing there is %v", got)
	}
}

func TestTheKernelsDevices(t *testing.T) {
	dir := t.TempDir()
	m := &machine{t: t, dir: dir}
	m.write("eucalyptus.conf", "STORAGE_INTERFACES=a=lo,b=no-such-device")
	m.Resolver = resolve.New(resolve.Options{Eucalyptus: filepath.Join(dir, "eucalyptus.conf")})
	m.expect("a:10.107.1.200,b:10.107.1.200", "a:10.107.1.200 lo 10.107.1.200:3260",
		`b:10.107.1.200 no-such-device ? no network device no-such-device on this machine, and the label "b" stands for it`)
}
