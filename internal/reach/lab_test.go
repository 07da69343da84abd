// SPDX-License-Identifier: Apache-2.0

//go:build lab

package reach_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/reach"
)

// role is set in the two copies of the test that stand for machines.
const role = "MALLEE_TEST_ROLE"

const (
	oursRole = "ours" // judges
	peerRole = "peer" // has the portals
)

// TestLabReach runs itself once more in a network of its own, where a second copy
// is the machine at the other end of two cables. Nothing is left, however it ends.
func TestLabReach(t *testing.T) {
	switch os.Getenv(role) {
	case oursRole:
		testReach(t)
		return
	case peerRole:
		bePeer(t)
		return
	}
	cmd := machine(t, oursRole)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}

// machine returns the command for a copy of the test in a network of its own.
func machine(t *testing.T, as string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "-test.run", "^TestLabReach$", "-test.v")
	cmd.Env = append(os.Environ(), role+"="+as)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// bePeer listens at the port of iSCSI and does what it is told by lines: "ended"
// is answered by how the next connection has ended, any other is an `ip` command
// and answered when that is done.
func bePeer(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", ":3260")
	if err != nil {
		t.Fatal(err)
	}
	ends := make(chan error, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, err = c.Read(make([]byte, 1))
			ends <- err
		}
	}()
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if lines.Text() == "ended" {
			fmt.Println("peer:", <-ends)
			continue
		}
		ip(t, lines.Text())
		fmt.Println("peer: done")
	}
}

// peer is the machine at the other end.
type peer struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Scanner
	pid int
}

func startPeer(t *testing.T) *peer {
	cmd := machine(t, peerRole)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &peer{t: t, in: in, out: bufio.NewScanner(out), pid: cmd.Process.Pid}
	t.Cleanup(func() {
		in.Close()
		for p.out.Scan() {
			t.Log(p.out.Text())
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the peer: %v", err)
		}
	})
	return p
}

// tell has the peer carry out a line, and returns its answer.
func (p *peer) tell(line string) string {
	p.t.Helper()
	fmt.Fprintln(p.in, line)
	for p.out.Scan() {
		if answer, ok := strings.CutPrefix(p.out.Text(), "peer: "); ok {
			return answer
		}
		p.t.Log("peer:", p.out.Text())
	}
	p.t.Fatalf("the peer has ended at %q", line)
	return ""
}

func ip(t *testing.T, line string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ip", strings.Fields(line)...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip %s: %v: %s", line, err, out)
	}
	return string(out)
}

// settle waits until the devices have their carriers, which the kernel makes known
// up to a second later, and their link-local addresses are known to be unique.
func settle(t *testing.T, devices ...string) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		list, err := reach.Devices()
		if err != nil {
			t.Fatal(err)
		}
		up := 0
		for _, d := range list {
			if d.Up && slices.Contains(devices, d.Name) {
				up++
			}
		}
		if up == len(devices) && ip(t, "-6 -oneline address show tentative") == "" {
			return
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}

func testReach(t *testing.T) {
	p := startPeer(t)
	p.tell("link set lo up")
	ip(t, "link set lo up")
	for _, n := range []string{"1", "2"} {
		ip(t, fmt.Sprintf("link add eth%s type veth peer name eth%s netns %d", n, n, p.pid))
		ip(t, fmt.Sprintf("address add 10.10%s.1.5/24 dev eth%s", n, n))
		ip(t, fmt.Sprintf("address add fd00:10%s::5/64 dev eth%s nodad", n, n))
		p.tell(fmt.Sprintf("address add 10.10%s.1.201/24 dev eth%s", n, n))
		p.tell(fmt.Sprintf("address add fd00:10%s::201/64 dev eth%s nodad", n, n))
		ip(t, "link set eth"+n+" up")
		p.tell("link set eth" + n + " up")
	}
	p.tell("address add fe80::201/64 dev eth1 nodad")
	p.tell("address add 10.7.7.7/32 dev lo")
	ip(t, "route add 10.7.0.0/16 via 10.101.1.201")
	ip(t, "route add 10.8.0.0/16 via 10.101.1.254")
	ip(t, "route add 10.9.0.0/16 via inet6 fd00:101::201")
	ip(t, "-6 route add fd07::/16 via fd00:101::201")
	ip(t, "route add prohibit 10.6.0.0/16")
	ip(t, "link add lonely type veth peer name nobody")
	ip(t, "address add 10.103.1.5/24 dev lonely")
	ip(t, "link set lonely up")
	ip(t, "route add 10.10.0.0/16 nexthop via 10.101.1.201 nexthop via 10.102.1.201")
	ip(t, fmt.Sprintf("link add quiet type veth peer name quiet netns %d", p.pid))
	ip(t, "address add 10.104.1.5/24 dev quiet")
	ip(t, "link set quiet up arp off")
	p.tell("address add 10.104.1.201/24 dev quiet")
	p.tell("link set quiet up arp off")
	// Replies to 10.101.1.6 have another way than those to 10.101.1.5.
	ip(t, "address add 10.101.1.6/24 dev eth1")
	ip(t, "route add 10.11.0.0/16 via 10.101.1.201 src 10.101.1.6")
	ip(t, "rule add from 10.101.1.6 lookup 100")
	ip(t, "route add default via 10.101.1.253 table 100")
	settle(t, "eth1", "eth2", "quiet")

	answers := reach.Verdict{State: mallee.Reachable, Evidence: mallee.ByNeighbour}
	connects := reach.Verdict{State: mallee.Reachable, Evidence: mallee.ByTCP}
	for name, c := range map[string]struct {
		device, portal string
		probe          bool
		want           reach.Verdict
	}{
		"answers":                             {"eth1", "10.101.1.201:3260", false, answers},
		"answers on routing's device":         {"", "10.102.1.201:3260", false, answers},
		"is silent":                           {"eth1", "10.101.1.202:3260", false, unreachable("10.101.1.202 does not answer on eth1")},
		"other subnet":                        {"eth1", "10.102.1.201:3260", false, unreachable("no route to 10.102.1.201 over eth1")},
		"no route":                            {"", "10.5.1.1:3260", false, unreachable("no route to 10.5.1.1")},
		"prohibited":                          {"", "10.6.1.1:3260", false, unreachable("no route to 10.6.1.1")},
		"no carrier":                          {"lonely", "10.103.1.201:3260", false, unreachable("lonely has no carrier")},
		"no carrier, by routing":              {"", "10.103.1.201:3260", false, unreachable("lonely has no carrier")},
		"device down":                         {"nobody", "10.103.1.201:3260", false, unreachable("nobody is down")},
		"no device":                           {"eth9", "10.101.1.201:3260", false, reach.Verdict{State: mallee.Unresolved, Reason: "there is no network device eth9"}},
		"gateway":                             {"", "10.7.7.7:3260", false, behind("10.101.1.201")},
		"gateway over device":                 {"eth1", "10.7.7.7:3260", false, behind("10.101.1.201")},
		"gateway is silent":                   {"eth1", "10.8.1.1:3260", false, unreachable("the gateway 10.101.1.254 does not answer on eth1")},
		"gateway of IPv6":                     {"", "10.9.1.1:3260", false, behind("fd00:101::201")},
		"gateway over one of several devices": {"eth2", "10.10.1.1:3260", false, behind("10.102.1.201")},
		"gateway by the source address":       {"eth1", "10.11.1.1:3260", false, unreachable("the gateway 10.101.1.253 does not answer on eth1")},
		"no ARP":                              {"quiet", "10.104.1.201:3260", false, reach.Verdict{State: mallee.ReachUnsure, Reason: "cannot ask for 10.104.1.201 on quiet: it is not an Ethernet, and only a connection would tell"}},
		"own address":                         {"", "10.101.1.5:3260", false, reach.Verdict{State: mallee.Reachable}},
		"IPv6 answers":                        {"eth2", "[fd00:102::201]:3260", false, answers},
		"IPv6 by routing":                     {"", "[fd00:101::201]:3260", false, answers},
		"IPv6 is silent":                      {"eth2", "[fd00:102::202]:3260", false, unreachable("fd00:102::202 does not answer on eth2")},
		"IPv6 other subnet":                   {"eth1", "[fd00:102::201]:3260", false, unreachable("no route to fd00:102::201 over eth1")},
		"IPv6 gateway":                        {"", "[fd07::1]:3260", false, behind("fd00:101::201")},
		"IPv6 own address":                    {"", "[fd00:101::5]:3260", false, reach.Verdict{State: mallee.Reachable}},
		"zone":                                {"", "[fe80::201%eth1]:3260", false, answers},
		"link-local over device":              {"eth1", "[fe80::201]:3260", false, answers},
		"link-local is silent":                {"eth2", "[fe80::201]:3260", false, unreachable("fe80::201 does not answer on eth2")},
		"zone and device differ":              {"eth2", "[fe80::201%eth1]:3260", false, reach.Verdict{State: mallee.Unresolved, Reason: "its zone is eth1, its device eth2"}},

		"connection":                 {"eth1", "10.101.1.201:3260", true, connects},
		"connection by routing":      {"", "10.102.1.201:3260", true, connects},
		"connection through gateway": {"eth1", "10.7.7.7:3260", true, connects},
		"connection over IPv6":       {"eth1", "[fd00:101::201]:3260", true, connects},
		"connection to link-local":   {"eth1", "[fe80::201]:3260", true, connects},
		"connection refused":         {"eth1", "10.101.1.201:3261", true, unreachable("connect: connection refused")},
		"connection to a silent one": {"eth1", "10.101.1.202:3260", true, unreachable("it takes no connection within 2s")},
		"connection without route":   {"", "10.5.1.1:3260", true, unreachable("connect: network is unreachable")},
		"connection without carrier": {"lonely", "10.103.1.201:3260", true, unreachable("lonely has no carrier")},
	} {
		t.Run(name, func(t *testing.T) {
			got := reach.Judge(t.Context(), c.device, netip.MustParseAddrPort(c.portal), c.probe)
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
			if got.Evidence == mallee.ByTCP {
				if end := p.tell("ended"); !strings.HasSuffix(end, syscall.ECONNRESET.Error()) {
					t.Errorf("the portal has seen the connection end with %s", end)
				}
			}
		})
	}

	t.Run("all at once", func(t *testing.T) { testAllAtOnce(t, answers) })
	t.Run("without CAP_NET_RAW", testWithoutPrivilege)
	t.Run("no time", testNoTime)
	t.Run("devices", testDevices)
}

func unreachable(reason string) reach.Verdict {
	return reach.Verdict{State: mallee.Unreachable, Reason: reason}
}

func behind(gateway string) reach.Verdict {
	return reach.Verdict{State: mallee.ReachUnsure, Evidence: mallee.ByGateway, Reason: "it is behind the gateway " + gateway + ", and only a connection would tell"}
}

// Each hears its own answer among those to the others.
func testAllAtOnce(t *testing.T, answers reach.Verdict) {
	var looks sync.WaitGroup
	for i := range 64 {
		looks.Go(func() {
			host, want := 201+i%2, answers
			if host == 202 {
				want = unreachable(fmt.Sprintf("10.10%d.1.202 does not answer on eth%d", 1+i/2%2, 1+i/2%2))
			}
			portal := netip.MustParseAddrPort(fmt.Sprintf("10.10%d.1.%d:3260", 1+i/2%2, host))
			if got := reach.Judge(t.Context(), "", portal, false); got != want {
				t.Errorf("%s: got %+v, want %+v", portal, got, want)
			}
		})
	}
	looks.Wait()
}

// Who may not ask says so, and says nothing of the portal.
func testWithoutPrivilege(t *testing.T) {
	verdicts := make(chan reach.Verdict)
	go func() {
		defer close(verdicts)
		runtime.LockOSThread() // which ends with this goroutine, and its capabilities with it
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var sets [2]unix.CapUserData
		if err := unix.Capget(&header, &sets[0]); err != nil {
			t.Error(err)
			return
		}
		sets[0].Effective &^= 1 << unix.CAP_NET_RAW
		if err := unix.Capset(&header, &sets[0]); err != nil {
			t.Error(err)
			return
		}
		verdicts <- reach.Judge(t.Context(), "eth1", netip.MustParseAddrPort("10.101.1.202:3260"), false)
		verdicts <- reach.Judge(t.Context(), "eth1", netip.MustParseAddrPort("[fd00:101::202]:3260"), false)
	}()
	for v := range verdicts {
		if v.State != mallee.ReachUnsure || !strings.Contains(v.Reason, "CAP_NET_RAW") {
			t.Errorf("got %+v", v)
		}
	}
}

func testNoTime(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if v := reach.Judge(ctx, "eth1", netip.MustParseAddrPort("10.101.1.201:3260"), false); v.State != mallee.ReachUnsure || !strings.HasSuffix(v.Reason, "context canceled") {
		t.Errorf("got %+v", v)
	}
}

func testDevices(t *testing.T) {
	ip(t, "link add many type veth peer name zz")
	var want []string
	for i := range 300 {
		address := fmt.Sprintf("10.105.%d.%d/16", i/250, 1+i%250)
		want = append(want, address)
		ip(t, "address add "+address+" dev many")
	}
	list, err := reach.Devices()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]mallee.NetDevice{}
	var names []string
	for _, d := range list {
		names = append(names, d.Name)
		got[d.Name] = d
	}
	if d := cmp.Diff([]string{"eth1", "eth2", "lonely", "many", "nobody", "quiet", "zz"}, names); d != "" {
		t.Errorf("devices (-want +got)\n%s", d)
	}
	for name, up := range map[string]bool{"eth1": true, "lonely": false, "nobody": false, "quiet": true} {
		if got[name].Up != up {
			t.Errorf("%s is up: %t", name, got[name].Up)
		}
	}
	if d := cmp.Diff(mallee.NetDevice{Name: "many", Addresses: want}, got["many"]); d != "" {
		t.Errorf("addresses (-want +got)\n%s", d)
	}
	for _, address := range []string{"10.101.1.5/24", "10.101.1.6/24", "fd00:101::5/64"} {
		if !slices.Contains(got["eth1"].Addresses, address) {
			t.Errorf("%s is not among %q", address, got["eth1"].Addresses)
		}
	}
}
