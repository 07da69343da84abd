// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	spv1 "github.com/mallee-io/mallee/api/sp/v1"
	"github.com/mallee-io/mallee/client"
	"github.com/mallee-io/mallee/internal/lio/liotest"
	"github.com/mallee-io/mallee/internal/lvm/lvmtest"
	"github.com/mallee-io/mallee/internal/rpc"
	"github.com/mallee-io/mallee/internal/sp"
	"github.com/mallee-io/mallee/internal/telemetry"
)

// patience bounds waits that end as soon as what they wait for is there.
const patience = 30 * time.Second

// machine is a directory with a configuration, and the roles that run by it.
type machine struct {
	t           *testing.T
	dir, config string
	clcAddr     string
	api         string // URL
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	dir, err := os.MkdirTemp("", "malleed")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	api := freeAddr(t)
	m := &machine{t: t, dir: dir, config: filepath.Join(dir, "malleed.toml"), clcAddr: freeAddr(t), api: "https://" + api}
	text := fmt.Sprintf(`
[log]
level = "error"
[clc]
state_dir = %q
listen = %q
agent_listen = %q
names = ["127.0.0.1"]
[sc]
partition = "PARTI00"
certs = %q
metrics_listen = "127.0.0.1:0"
[nc]
partition = "PARTI00"
certs = %q
[sp]
name = "sp1"
volume_group = "vg0"
admin_addresses = ["127.0.0.1"]
data_addresses = ["127.0.0.1"]
certs = %q
`, filepath.Join(dir, "clc"), api, m.clcAddr, filepath.Join(dir, "sc"), filepath.Join(dir, "nc"), filepath.Join(dir, "sp"))
	if err := os.WriteFile(filepath.Join(dir, "initiatorname.iscsi"), []byte("## made by a test\nInitiatorName="+initiator+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(m.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return m
}

const initiator = "iqn.2026-11.io.mallee:node:nc1"

// freeAddr returns an address of the loopback interface that nobody listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// malleed runs the command until it ends.
func (m *machine) malleed(ctx context.Context, args ...string) error {
	return m.malleedWith(ctx, "", args...)
}

// malleedWith is malleed with something on its stdin.
func (m *machine) malleedWith(ctx context.Context, stdin string, args ...string) error {
	root := newRootCommand(&options{iscsiDir: m.dir})
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(io.Discard)
	root.SetArgs(append([]string{"--config", m.config}, args...))
	return root.ExecuteContext(ctx)
}

// start runs a role until stop is called or the test ends.
func (m *machine) start(role string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.malleed(ctx, role) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			m.t.Errorf("malleed %s: %v", role, err)
		}
	}
	m.t.Cleanup(stop)
	return stop
}

// token returns a join token for a part of the partition.
func (m *machine) token(role, name string) string {
	m.t.Helper()
	t, err := m.admin().CreateJoinToken(m.t.Context(), mallee.JoinTokenSpec{Role: mallee.Role(role), Name: name, Partition: "PARTI00"})
	if err != nil {
		m.t.Fatal(err)
	}
	return t.Token
}

// join has this machine join as a part, and returns the part's bundle.
func (m *machine) join(role, name string) *rpc.Bundle {
	m.t.Helper()
	if err := m.malleedWith(m.t.Context(), m.token(role, name)+"\n", role, "join", m.api, "-"); err != nil {
		m.t.Fatal(err)
	}
	b, err := rpc.LoadBundle(filepath.Join(m.dir, role))
	if err != nil {
		m.t.Fatal(err)
	}
	return b
}

// sanPassword is what the storage processor asks for.
const sanPassword = "of-the-san"

// storageProcessor serves an SP whose kernel and disks are emulated.
func (m *machine) storageProcessor() (addr string) {
	m.t.Helper()
	log := slog.New(slog.DiscardHandler)
	pool, kernel := lvmtest.NewPool(100*mallee.GiB), liotest.New()
	kernel.Device, pool.Open = pool.Active, kernel.Open
	s, err := sp.New(m.t.Context(), sp.Options{
		Name: "sp1", DataPortals: []netip.AddrPort{netip.MustParseAddrPort("10.107.1.200:3260"), netip.MustParseAddrPort("10.108.1.200:3260")},
		StateDir: m.t.TempDir(), Log: log, Registry: telemetry.NewRegistry(), Volumes: pool, ConfigFS: kernel,
	})
	if err != nil {
		m.t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		m.t.Fatal(err)
	}
	p := part{bundle: m.join("sp", "sp1")}
	password := filepath.Join(m.t.TempDir(), "password")
	if err := os.WriteFile(password, []byte(sanPassword+"\n"), 0o600); err != nil {
		m.t.Fatal(err)
	}
	login, err := sp.NewLogin("storage", password)
	if err != nil {
		m.t.Fatal(err)
	}
	g := rpc.NewServer(p.bundle, log, p.admit(login))
	spv1.RegisterStorageProcessorServer(g, s)
	go g.Serve(l)
	m.t.Cleanup(g.Stop)
	return l.Addr().String()
}

// node is a node controller that attaches whatever it is told to, at once, and
// says which WWIDs it has.
func (m *machine) node(ctx context.Context, b *rpc.Bundle) {
	for ctx.Err() == nil {
		if conn, err := rpc.Dial(m.clcAddr, b, rpc.CLC); err == nil {
			m.follow(ctx, cloudv1.NewCloudClient(conn))
			conn.Close()
		}
	}
}

func (m *machine) follow(ctx context.Context, c cloudv1.CloudClient) {
	stream, err := c.WatchNode(ctx, &cloudv1.WatchNodeRequest{Partition: "PARTI00", Initiator: initiator}, grpc.WaitForReady(true))
	for err == nil {
		var state *cloudv1.NodeState
		if state, err = stream.Recv(); err != nil {
			return
		}
		report := &cloudv1.NodeReport{}
		for _, a := range state.GetAttachments() {
			r := &cloudv1.AttachmentReport{VolumeId: a.GetVolumeId(), Generation: a.GetGeneration()}
			switch {
			case !a.GetWanted():
				r.State = cloudv1.AttachmentReport_STATE_DETACHED
			case a.GetExport() == nil:
				r.State = cloudv1.AttachmentReport_STATE_ATTACHING
			default:
				r.State, r.Device = cloudv1.AttachmentReport_STATE_ATTACHED, "/dev/mallee/"+a.GetVolumeId()
				for _, p := range a.GetExport().GetPortals() {
					r.Paths = append(r.Paths, &cloudv1.PathReport{Portal: p, State: string(mallee.PathUp)})
				}
			}
			report.Attachments = append(report.Attachments, r)
		}
		_, err = c.ReportNode(ctx, report)
	}
}

// admin returns a client with the credentials of admin.env, once that is there.
func (m *machine) admin() *client.Client {
	m.t.Helper()
	path := filepath.Join(m.dir, "clc", "admin.env")
	env := map[string]string{}
	m.until("admin.env is written", func() bool {
		text, err := os.ReadFile(path)
		for line := range strings.Lines(string(text)) {
			name, value, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
			env[name] = value
		}
		return err == nil
	})
	c, err := client.New(client.Config{
		Endpoint: env["MALLEE_ENDPOINT"], AccessKey: env["AWS_ACCESS_KEY_ID"], SecretKey: env["AWS_SECRET_ACCESS_KEY"], CAFile: env["AWS_CA_BUNDLE"],
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return c
}

// until asks for ok as often as a patient person would.
func (m *machine) until(what string, ok func() bool) {
	m.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			m.t.Fatalf("it never came about that %s", what)
		}
	}
}

func TestClusterServesAVolume(t *testing.T) {
	m := newMachine(t)
	stopCLC := m.start("clc")
	user := m.admin()
	san := m.storageProcessor()
	m.join("sc", "sc1")
	m.start("sc")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go m.node(ctx, m.join("nc", "nc1"))

	var instance mallee.InstanceID
	m.until("the node is known", func() bool {
		list, err := user.Nodes(t.Context())
		if err == nil && len(list) == 1 {
			instance = list[0].InstanceID
		}
		return instance != ""
	})
	set := func(name, value string) {
		t.Helper()
		m.until(name+" can be set", func() bool {
			_, err := user.SetProperty(t.Context(), "PARTI00."+name, value)
			return err == nil
		})
	}
	set(mallee.PropertySANUser, "storage")
	set(mallee.PropertySANPassword, sanPassword)
	set(mallee.PropertyResourcePrefix, "gold_")
	set(mallee.PropertySANHost, strings.Replace(san, "127.0.0.1", "localhost", 1))
	v, err := user.CreateVolume(t.Context(), mallee.VolumeSpec{Partition: "PARTI00", SizeGiB: 1})
	if err != nil {
		t.Fatal(err)
	}
	state := func() mallee.VolumeState {
		got, err := user.Volume(t.Context(), v.ID)
		if err != nil {
			return ""
		}
		return got.State
	}
	m.until("the volume is available", func() bool { return state() == mallee.VolumeAvailable })

	for round := range 2 {
		if _, err := user.AttachVolume(t.Context(), v.ID, instance, "/dev/sdf"); err != nil {
			t.Fatal(err)
		}
		if round == 1 { // the controller is stopped in the middle
			stopCLC()
			stopCLC = m.start("clc")
		}
		m.until("the volume is attached over both portals", func() bool {
			got, err := user.Volume(t.Context(), v.ID)
			paths, pathsErr := user.Paths(t.Context())
			return err == nil && got.Attachment != nil && got.Attachment.State == mallee.Attached && pathsErr == nil && len(paths) == 2
		})
		if _, err := user.DetachVolume(t.Context(), v.ID, "", ""); err != nil {
			t.Fatal(err)
		}
		m.until("the volume is available again", func() bool { return state() == mallee.VolumeAvailable })
	}

	if err := user.DeleteVolume(t.Context(), v.ID); err != nil {
		t.Fatal(err)
	}
	m.until("the volume is gone", func() bool {
		list, err := user.Volumes(t.Context())
		return err == nil && len(list) == 0
	})
	cancel()
}
