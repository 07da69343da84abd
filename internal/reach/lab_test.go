// SPDX-License-Identifier: Apache-2.0

//go:build lab

package reach_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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

// bePeer is told by lines: each is an `ip` command, run and answered by a line.
// It listens at the port of iSCSI and answers "listen" with how the last connection ended.
func bePeer(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", ":3260")
	if err != nil {
		t.Fatal(err)
	}
	ends := make(chan error, 1)
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
			err := <-ends
			fmt.Println("peer: reset:", errors.Is(err, syscall.ECONNRESET), err)
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

func ip(t *testing.T, line string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "ip", strings.Fields(line)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", line, err, out)
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
	ip(t, "tuntap add tun0 mode tun")

	for name, c := range map[string]struct {
		device, portal string
		probe          bool
		want           reach.Verdict
	}{
		"answers":                     {"eth1", "10.101.1.201:3260", false, reach.Verdict{State: mallee.Reachable, Evidence: mallee.ByNeighbour}},
		"answers on routing's device": {"", "10.102.1.201:3260", false, reach.Verdict{State: mallee.Reachable, Evidence: mallee.ByNeighbour}},
		"is silent":                   {"eth1", "10.101.1.202:3260", false, reach.Verdict{State: mallee.Unreachable, Reason: "10.101.1.202 does not answer on eth1"}},
		"other subnet":                {"eth1", "10.102.1.201:3260", false, reach.Verdict{State: mallee.Unreachable, Reason: "no route to 10.102.1.201 over eth1"}},
		"no route":                    {"", "10.5.1.1:3260", false, reach.Verdict{State: mallee.Unreachable, Reason: "no route to 10.5.1.1"}},
		"prohibited":                  {"", "10.6.1.1:3260", false, reach.Verdict{State: mallee.Unreachable, Reason: "no route to 10.6.1.1"}},
		"no carrier":                  {"lonely", "10.103.1.201:3260", false, reach.Verdict{State: mallee.Unreachable, Reason: "lonely has no carrier"}},
		"no carrier, by routing":      {"", "10.103.1.201:3260", false, reach.Verdict{State: mallee.Unreachable, Reason: "lonely has no carrier"}},
		"device down":                 {"nobody", "10.103.1.201:3260", false, reach.Verdict{State: mallee.Unreachable, Reason: "nobody is down"}},
		"no device":                   {"eth9", "10.101.1.201:3260", false, reach.Verdict{State: mallee.Unresolved, Reason: "there is no network device eth9"}},
		"gateway":                     {"", "10.7.7.7:3260", false, reach.Verdict{State: mallee.ReachUnsure, Evidence: mallee.ByGateway, Reason: "it is behind the gateway 10.101.1.201, and only a connection would tell"}},
		"gateway over device":         {"eth1", "10.7.7.7:3260", false, reach.Verdict{State: mallee.ReachUnsure, Evidence: mallee.ByGateway, Reason: "it is behind the gateway 10.101.1.201, and only a connection would tell"}},
		"gateway is silent":           {"eth1", "10.8.1.1:3260", false, reach.Verdict{State: mallee.Unreachable, Reason: "the gateway 10.101.1.254 does not answer on eth1"}},
		"gateway of IPv6":             {"", "10.9.1.1:3260", false, reach.Verdict{State: mallee.ReachUnsure, Evidence: mallee.ByGateway, Reason: "it is behind the gateway fd00:101::201, and only a connection would tell"}},
		"own address":                 {"", "10.101.1.5:3260", false, reach.Verdict{State: mallee.Reachable}},
		"IPv6 answers":                {"eth2", "[fd00:102::201]:3260", false, reach.Verdict{State: mallee.Reachable, Evidence: mallee.ByNeighbour}},
		"IPv6 by routing":             {"", "[fd00:101::201]:3260", false, reach.Verdict{State: mallee.Reachable, Evidence: mallee.ByNeighbour}},
		"IPv6 is silent":              {"eth2", "[fd00:102::202]:3260", false, reach.Verdict{State: mallee.Unreachable, Reason: "fd00:102::202 does not answer on eth2"}},
		"IPv6 other subnet":           {"eth1", "[fd00:102::201]:3260", false, reach.Verdict{State: mallee.Unreachable, Reason: "no route to fd00:102::201 over eth1"}},
		"IPv6 gateway":                {"", "[fd07::1]:3260", false, reach.Verdict{State: mallee.ReachUnsure, Evidence: mallee.ByGateway, Reason: "it is behind the gateway fd00:101::201, and only a connection would tell"}},
		"IPv6 own address":            {"", "[fd00:101::5]:3260", false, reach.Verdict{State: mallee.Reachable}},
		"zone":                        {"", "[fe80::201%eth1]:3260", false, reach.Verdict{State: mallee.Reachable, Evidence: mallee.ByNeighbour}},
		"link-local over device":      {"eth1", "[fe80::201]:3260", false, reach.Verdict{State: mallee.Reachable, Evidence: mallee.ByNeighbour}},
		"link-local is silent":        {"eth2", "[fe80::201]:3260", false, reach.Verdict{State: mallee.Unreachable, Reason: "fe80::201 does not answer on eth2"}},
		"zone and device differ":      {"eth2", "[fe80::201%eth1]:3260", false, reach.Verdict{State: mallee.Unresolved, Reason: "its zone is eth1, its device eth2"}},

		"connection":                 {"eth1", "10.101.1.201:3260", true, reach.Verdict{State: mallee.Reachable, Evidence: mallee.ByTCP}},
		"connection by routing":      {"", "10.102.1.201:3260", true, reach.Verdict{State: mallee.Reachable, Evidence: mallee.ByTCP}},
		"connection through gateway": {"eth1", "10.7.7.7:3260", true, reach.Verdict{State: mallee.Reachable, Evidence: mallee.ByTCP}},
		"connection over IPv6":       {"eth1", "[fd00:101::201]:3260", true, reach.Verdict{State: mallee.Reachable, Evidence: mallee.ByTCP}},
		"connection to link-local":   {"eth1", "[fe80::201]:3260", true, reach.Verdict{State: mallee.Reachable, Evidence: mallee.ByTCP}},
		"connection refused":         {"eth1", "10.101.1.201:3261", true, reach.Verdict{State: mallee.Unreachable, Reason: "connect: connection refused"}},
		"connection to a silent one": {"eth1", "10.101.1.202:3260", true, reach.Verdict{State: mallee.Unreachable, Reason: "it takes no connection within 2s"}},
		"connection without route":   {"", "10.5.1.1:3260", true, reach.Verdict{State: mallee.Unreachable, Reason: "connect: network is unreachable"}},
		"connection without carrier": {"lonely", "10.103.1.201:3260", true, reach.Verdict{State: mallee.Unreachable, Reason: "lonely has no carrier"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := reach.Judge(t.Context(), c.device, netip.MustParseAddrPort(c.portal), c.probe)
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
			if got.Evidence == mallee.ByTCP {
				if end := p.tell("ended"); !strings.HasPrefix(end, "reset: true") {
					t.Errorf("the portal has seen the connection end otherwise: %s", end)
				}
			}
		})
	}
}
