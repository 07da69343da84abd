// SPDX-License-Identifier: Apache-2.0

package sc

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/san"
	"github.com/mallee-io/mallee/internal/san/mem"
	"github.com/mallee-io/mallee/internal/telemetry"
)

const (
	vol1 = "vol-00000001"
	vol2 = "vol-00000002"
	node = "iqn.2026-11.io.mallee:node:nc1"
)

// slowSAN is a SAN in memory whose operations take a second, and which can be cut off.
type slowSAN struct {
	*mem.SAN
	mu   sync.Mutex
	cut  bool
	most int // operations at once
	now  int
	made []mallee.RequestID // requests that volumes were made for

	exported int // calls of Export
	login    func() san.Login
}

func newSAN() *slowSAN {
	return &slowSAN{SAN: mem.New(san.Info{
		Name: "mem", Target: "iqn.2026-11.io.mallee:mem", Portals: []string{"10.107.1.200:3260"},
		PoolSizeBytes: 100 * mallee.GiB, PoolFreeBytes: 100 * mallee.GiB,
	})}
}

func (s *slowSAN) Close() error { return nil }

func (s *slowSAN) setCut(cut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = cut
}

func (s *slowSAN) reach() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut {
		return &mallee.Error{Op: "reach", Kind: mallee.Unavailable, ID: "sp1", Err: errors.New("no answer")}
	}
	return nil
}

func (s *slowSAN) Info(ctx context.Context) (san.Info, error) {
	if err := s.reach(); err != nil {
		return san.Info{}, err
	}
	return s.SAN.Info(ctx)
}

func (s *slowSAN) CreateVolume(ctx context.Context, v san.VolumeSpec) (san.Volume, error) {
	s.mu.Lock()
	s.now++
	s.most = max(s.most, s.now)
	s.made = append(s.made, telemetry.RequestID(ctx))
	s.mu.Unlock()
	time.Sleep(time.Second) // of the bubble's clock
	s.mu.Lock()
	s.now--
	s.mu.Unlock()
	if err := s.reach(); err != nil {
		return san.Volume{}, err
	}
	return s.SAN.CreateVolume(ctx, v)
}

func (s *slowSAN) Export(ctx context.Context, id mallee.VolumeID, initiator mallee.IQN, chap mallee.CHAP, held san.Seats) (mallee.Export, error) {
	s.mu.Lock()
	s.exported++
	s.mu.Unlock()
	return s.SAN.Export(ctx, id, initiator, chap, held)
}

// bench is a reconciler on a SAN, in a bubble.
type bench struct {
	san    *slowSAN
	states chan wishes
	lost   chan struct{} // closed by a test whose connection is lost
	opened int           // how often the SAN was connected to

	mu     sync.Mutex
	latest *cloudv1.PartitionReport
}

// run calls f with a running reconciler.
func run(t *testing.T, f func(*testing.T, *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{san: newSAN(), states: make(chan wishes, 1), lost: make(chan struct{})}
		r := newReconciler(Options{
			Partition: "PARTI00", Log: slog.New(slog.DiscardHandler), Registry: telemetry.NewRegistry(),
			Open: func(_ []mallee.Endpoint, login func() san.Login) (SAN, error) {
				b.san.login = login
				b.opened++
				return b.san, nil
			},
		}, b.states, b.set, newView(nil, nil))
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan error)
		go func() { stopped <- r.run(ctx) }()
		f(t, b)
		cancel()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
}

func (b *bench) set(r *cloudv1.PartitionReport, _ wishes) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.latest = r
}

// want sends a state and returns the report after a while.
func (b *bench) want(volumes []*cloudv1.DesiredVolume, exports ...*cloudv1.DesiredExport) *cloudv1.PartitionReport {
	b.tell(&cloudv1.PartitionState{Partition: "PARTI00", Sanhost: "10.109.1.26", Volumes: volumes, Exports: exports})
	return b.after(5 * time.Second)
}

func (b *bench) tell(s state) { b.states <- wishes{s, b.lost} }

func (b *bench) after(d time.Duration) *cloudv1.PartitionReport {
	time.Sleep(d)
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.latest
}

func (b *bench) volumes(t *testing.T) []string {
	t.Helper()
	list, err := b.san.Volumes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, v := range list {
		ids = append(ids, string(v.ID))
	}
	return ids
}

func wanted(ids ...string) []*cloudv1.DesiredVolume {
	var list []*cloudv1.DesiredVolume
	for _, id := range ids {
		list = append(list, &cloudv1.DesiredVolume{VolumeId: id, SizeBytes: mallee.GiB, Wanted: true, RequestId: "r-" + id})
	}
	return list
}

func TestLifeOnTheSAN(t *testing.T) {
	run(t, func(t *testing.T, b *bench) {
		r := b.want(wanted(vol1))
		if v := r.Volumes[0]; !v.Known || !v.Present || !mallee.WWID(v.Wwid).Valid() || v.SizeBytes != mallee.GiB {
			t.Fatalf("after the wish for a volume: %v", v)
		}
		if diff := cmp.Diff(&cloudv1.Pool{SizeBytes: 100 * mallee.GiB, FreeBytes: 99 * mallee.GiB, PromisedBytes: mallee.GiB}, r.Pool, protocmp.Transform()); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]mallee.RequestID{"r-" + vol1}, b.san.made); diff != "" {
			t.Error(diff)
		}
		export := &cloudv1.DesiredExport{VolumeId: vol1, InstanceId: "i-00000001", Initiator: node, Generation: 3, Wanted: true}
		e := b.want(wanted(vol1), export).Exports[0]
		if !e.Known || !e.Present || e.Generation != 3 || e.Export.GetLun() == 0 || len(e.Export.GetPortals()) != 1 {
			t.Fatalf("after the wish for an export: %v", e)
		}
		export.Wanted = false
		if e := b.want(wanted(vol1), export).Exports[0]; !e.Known || e.Present {
			t.Fatalf("after the wish that the export be gone: %v", e)
		}
		gone := wanted(vol1)
		gone[0].Wanted = false
		if v := b.want(gone).Volumes[0]; !v.Known || v.Present {
			t.Fatalf("after the wish that the volume be gone: %v", v)
		}
	})
}

func TestNothingUnnamedIsTouched(t *testing.T) {
	run(t, func(t *testing.T, b *bench) {
		b.want(wanted(vol1), &cloudv1.DesiredExport{VolumeId: vol1, Initiator: node, Wanted: true})
		b.want(nil)
		b.want(wanted(vol2))
		if diff := cmp.Diff([]string{vol1, vol2}, b.volumes(t)); diff != "" {
			t.Error(diff)
		}
		if exports, _, err := b.san.Exports(t.Context()); err != nil || len(exports) != 1 {
			t.Errorf("exports %v, %v", exports, err)
		}
	})
}

// Records that are older than the world, out of a backup for example, may lack
// the attachment that a volume is in use through.
func TestAVolumeWithAnExportThatNobodyNamesIsLeftToItsUser(t *testing.T) {
	run(t, func(t *testing.T, b *bench) {
		there := &cloudv1.DesiredExport{VolumeId: vol1, Initiator: node, Generation: 4, Wanted: true}
		elsewhere := &cloudv1.DesiredExport{VolumeId: vol1, Initiator: "iqn.2026-01.io.mallee:other", Generation: 5, Wanted: true}
		b.want(wanted(vol1), there)
		if e := b.want(wanted(vol1), elsewhere).Exports[0]; e.Known || e.Present || !strings.Contains(e.Message, node) {
			t.Errorf("the wish to export it to another node: %v", e)
		}
		gone := wanted(vol1)
		gone[0].Wanted = false
		if v := b.want(gone).Volumes[0]; !v.Present || !strings.Contains(v.Message, node) {
			t.Errorf("the wish to remove it: %v", v)
		}
		if exports, _, err := b.san.Exports(t.Context()); err != nil || len(exports) != 1 {
			t.Errorf("exports %v, %v", exports, err)
		}
		there.Wanted = false // attached there again, and detached
		if e := b.want(wanted(vol1), there).Exports[0]; !e.Known || e.Present {
			t.Errorf("the wish to take the export away that was not named: %v", e)
		}
		if e := b.want(wanted(vol1), elsewhere).Exports[0]; !e.Present {
			t.Errorf("the wish to export it to another node, when the first has let go: %v", e)
		}
	})
}

func TestALostVolumeIsNotMadeAnew(t *testing.T) {
	run(t, func(t *testing.T, b *bench) {
		made := wanted(vol1)
		made[0].SizeBytes = 0
		// Not as known: a delete that comes meanwhile would take it for done, and
		// a SAN that is asked too early, or a wrong one, has lost nothing.
		if v := b.want(made).Volumes[0]; v.Known || v.Present || v.Failed || v.Message == "" {
			t.Errorf("a volume that the SAN does not show is reported as %v", v)
		}
		if ids := b.volumes(t); len(ids) != 0 {
			t.Errorf("the SAN now holds %v", ids)
		}
	})
}

func TestWhatCannotBeMade(t *testing.T) {
	run(t, func(t *testing.T, b *bench) {
		huge := wanted(vol1)
		huge[0].SizeBytes = 1000 * mallee.GiB
		if v := b.want(huge).Volumes[0]; !v.Failed || v.Message == "" {
			t.Errorf("a volume larger than the pool is reported as %v", v)
		}
		tries := len(b.san.made)
		b.after(10 * time.Minute)
		if len(b.san.made) != tries {
			t.Errorf("it was tried %d times more", len(b.san.made)-tries)
		}
	})
}

func TestTheSANIsAway(t *testing.T) {
	run(t, func(t *testing.T, b *bench) {
		b.san.setCut(true)
		v := b.want(wanted(vol1)).Volumes[0]
		if v.Known || v.Failed || v.Message == "" {
			t.Errorf("while the SAN is away: %v", v)
		}
		b.san.setCut(false)
		if v := b.after(10 * time.Second).Volumes[0]; !v.Known || !v.Present || v.Message != "" {
			t.Errorf("after it came back: %v", v)
		}
	})
}

func TestAnOperationIsTriedAgain(t *testing.T) {
	run(t, func(t *testing.T, b *bench) {
		b.tell(&cloudv1.PartitionState{Sanhost: "10.109.1.26", Volumes: wanted(vol1)})
		time.Sleep(500 * time.Millisecond) // the operation is under way
		b.san.setCut(true)
		time.Sleep(time.Second)
		b.san.setCut(false)
		if v := b.after(10 * time.Second).Volumes[0]; !v.Known || !v.Present || v.Message != "" {
			t.Errorf("after an operation was cut off: %v", v)
		}
		if len(b.san.made) != 2 {
			t.Errorf("it took %d tries", len(b.san.made))
		}
	})
}

// Once the stream has broken another storage controller may serve the partition.
func TestNothingIsStartedWithoutTheCloud(t *testing.T) {
	run(t, func(t *testing.T, b *bench) {
		var ids []string
		for range parallel + 3 {
			ids = append(ids, string(mallee.NewVolumeID()))
		}
		b.tell(&cloudv1.PartitionState{Sanhost: "10.109.1.26", Volumes: wanted(ids...)})
		time.Sleep(500 * time.Millisecond) // some are under way, the others wait for a slot
		close(b.lost)
		b.after(10 * time.Minute)
		if got := len(b.volumes(t)); got != parallel {
			t.Errorf("%d volumes were made, want the %d that were under way", got, parallel)
		}
		b.lost = make(chan struct{})
		b.want(wanted(ids...))
		if got := len(b.volumes(t)); got != len(ids) {
			t.Errorf("with the cloud back there are %d volumes, want %d", got, len(ids))
		}
	})
}

func TestNothingIsKnownOfAnOperationUnderWay(t *testing.T) {
	run(t, func(t *testing.T, b *bench) {
		b.tell(&cloudv1.PartitionState{Sanhost: "10.109.1.26", Volumes: wanted(vol1)})
		if v := b.after(500 * time.Millisecond).Volumes[0]; v.Known {
			t.Errorf("while a volume is being made it is reported as %v", v)
		}
	})
}

func TestManyAtOnce(t *testing.T) {
	run(t, func(t *testing.T, b *bench) {
		ids := make([]string, 20)
		for i := range ids {
			ids[i] = string(mallee.NewVolumeID())
		}
		for _, v := range b.want(wanted(ids...)).Volumes {
			if !v.Present {
				t.Errorf("%s is not there", v.VolumeId)
			}
		}
		if b.san.most != parallel {
			t.Errorf("%d operations ran at once, want %d", b.san.most, parallel)
		}
	})
}

func TestNoSAN(t *testing.T) {
	run(t, func(t *testing.T, b *bench) {
		b.tell(&cloudv1.PartitionState{Partition: "PARTI00", Volumes: wanted(vol1)})
		if v := b.after(time.Second).Volumes[0]; v.Known || v.Message != "PARTI00.storage.sanhost is not set" {
			t.Errorf("without a sanhost: %v", v)
		}
	})
}
