// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/mallee-io/mallee/internal/kerneltest"
)

// What `make soak` asks for more of. The seed is fixed where nobody looks for new
// failures: a test that fails now and then would be taken for the change's fault.
var (
	modelOperations = flag.Int64("operations", 20_000, "operations that TestModel carries out at least")
	modelSeed       = flag.Uint64("seed", 1, "seed of the first hundred runs of TestModel; the next have the next")
)

// TestModel has a node, its SAN and everybody else on the machine do what they like,
// at random and by a seed, while the connector attaches and detaches volumes and is
// killed in between. Package kerneltest is the machine; what must never happen is
// judged there, at each step. In the end, all being well, all is detached, and
// nothing is left.
func TestModel(t *testing.T) {
	// One goroutine at a time: what the seed decides is then all there is.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var done, changed, told atomic.Int64
	var shortest []string // history of a run that failed, by the number of its lines
	defer func() {
		for _, line := range shortest {
			t.Log(line)
		}
	}()
	defer flag.Set("rapid.seed", "0") //nolint:errcheck // it is a flag of rapid's, and a number
	for seed := *modelSeed; done.Load() < *modelOperations; seed++ {
		if err := flag.Set("rapid.seed", strconv.FormatUint(seed, 10)); err != nil {
			t.Fatal(err)
		}
		rapid.Check(t, func(t *rapid.T) {
			rapid.SyncTest(t, func(t *rapid.T) {
				m := newModel(t)
				m.failed = func(history []string) {
					if shortest == nil || len(history) < len(shortest) {
						shortest = history
					}
				}
				defer m.stop()
				t.Repeat(m.operations(&done))
				m.quiesce()
				a, b := m.k.Longest()
				changed.Store(max(changed.Load(), int64(a)))
				told.Store(max(told.Load(), int64(b)))
			})
		})
	}
	t.Logf("%d operations; a path led to another unit for at most %v after the SAN had changed, %v after that was known",
		done.Load(), time.Duration(changed.Load()), time.Duration(told.Load()))
}

// portals of the modelled SAN: two fabrics, two storage processors.
var modelPortals = []netip.AddrPort{
	netip.MustParseAddrPort("10.107.1.1:3260"), netip.MustParseAddrPort("10.107.1.10:3260"),
	netip.MustParseAddrPort("10.108.1.1:3260"), netip.MustParseAddrPort("10.108.1.10:3260"),
}

// model is a cloud of one node and one SAN.
type model struct {
	t       *rapid.T
	k       *kerneltest.Kernel
	dir     string
	san     *modelSAN
	volumes []*modelVolume
	node    *modelNode
	failed  func(history []string)
	wrong   map[string]time.Time // links that lead to another map, since when
}

func newModel(t *rapid.T) *model {
	dir, err := os.MkdirTemp("", "mallee-model-")
	if err != nil {
		t.Fatal(err)
	}
	k := kerneltest.New(kerneltest.Options{
		Seed: rapid.Uint64().Draw(t, "seed"), Portals: modelPortals,
		SlowUdev:   rapid.SampledFrom([]time.Duration{20 * time.Millisecond, 2 * time.Second}).Draw(t, "udev"),
		Everything: rapid.Bool().Draw(t, "find_multipaths no"),
	})
	m := &model{t: t, k: k, dir: dir, wrong: map[string]time.Time{}}
	if m.san, err = newModelSAN(k); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		m.volumes = append(m.volumes, m.san.create(i))
	}
	m.start()
	return m
}

// stop ends the node, so that the bubble can end.
func (m *model) stop() {
	m.node.kill()
	time.Sleep(2 * time.Minute)
	os.RemoveAll(m.dir)
}

// start starts the node's agent, if none runs.
func (m *model) start() {
	if m.node == nil || m.node.dead() {
		// A program takes longer to start than the kernel to make disks of what the
		// one before had found.
		time.Sleep(50 * time.Millisecond)
		m.node = startNode(m)
	}
}

// pass lets time pass, and looks what it has brought.
func (m *model) pass(d time.Duration) {
	for end := time.Now().Add(d); ; {
		time.Sleep(min(time.Until(end), time.Second))
		m.check()
		if !time.Now().Before(end) {
			return
		}
	}
}

// linkLimit is how long a volume's name may lead to what has got the number of its
// map, when that is gone: until the next step.
const linkLimit = 10 * time.Second

// check fails the test if something has happened that must not.
func (m *model) check() {
	for _, text := range m.k.Violations() {
		m.fail("%s", text)
	}
	for _, v := range m.volumes {
		target, err := os.Readlink(filepath.Join(m.dir, v.spec.Name))
		wwid := m.k.Device(filepath.Base(target))
		if err != nil || wwid == v.spec.WWID || wwid == "" || m.node.dead() {
			delete(m.wrong, v.spec.Name)
			continue
		}
		if m.wrong[v.spec.Name].IsZero() {
			m.wrong[v.spec.Name] = time.Now()
		}
		if lasted := time.Since(m.wrong[v.spec.Name]); lasted > linkLimit {
			m.fail("%s leads to %s of %s for %v", v.spec.Name, target, wwid, lasted)
		}
	}
}

func (m *model) fail(format string, args ...any) {
	m.k.Note("FAILED: "+format, args...)
	m.failed(m.k.History())
	m.t.Fatalf(format, args...)
}

// quiesce makes all well, detaches everything and looks for what is left.
func (m *model) quiesce() {
	m.k.Note("all shall be well, and everything detached")
	if err := m.san.heal(); err != nil {
		m.fail("%v", err)
	}
	m.k.OthersLeave()
	m.start()
	m.node.process.KillAt(1 << 30)
	for _, v := range m.volumes {
		v.close()
		if v.isExported() {
			m.san.restore(v)
			v.wish(func(w *modelWish) { w.attached = false })
		}
	}
	for range 200 {
		m.pass(3 * time.Second)
		if m.allReleased() {
			break
		}
	}
	for _, v := range m.volumes {
		if v.isExported() {
			m.fail("%s is not detached: %v", v.spec.Name, v.lastError())
		}
	}
	m.pass(20 * time.Second)
	if err := m.node.c.Sweep(m.t.Context()); err != nil {
		m.fail("cannot sweep: %v", err)
	}
	if left := m.k.Leftovers(); len(left) > 0 {
		m.fail("left on the machine: %q", left)
	}
	links, err := filepath.Glob(filepath.Join(m.dir, "*"))
	if err != nil || len(links) > 0 {
		m.fail("left in %s: %q, %v", m.dir, links, err)
	}
}

func (m *model) allReleased() bool {
	for _, v := range m.volumes {
		if v.isExported() {
			return false
		}
	}
	return true
}
