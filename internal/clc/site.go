// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/rollout"
)

// sites knows how paths look from the machines that have a stream open, which
// list of paths each is told, and what it is asked. Like presence, none of it is
// stored: after a restart the agents tell it anew as they connect.
type sites struct {
	log     *slog.Logger
	started time.Time
	news    chan struct{} // holds one token while a rollout may go on

	mu       sync.Mutex
	stations map[string]*station         // by memberID
	rollouts map[string]*rollout.Rollout // by partition
	portals  map[string][]string         // that a partition's SAN last advertised
}

// station is a machine whose stream is open.
type station struct {
	site      mallee.Site // as it last told; it is never changed, but replaced
	questions []*question // that it has not answered
	woken     chan struct{}
	gone      chan struct{} // closed with the stream
}

func newSites(log *slog.Logger) *sites {
	return &sites{
		log: log, started: time.Now(), news: make(chan struct{}, 1),
		stations: map[string]*station{}, rollouts: map[string]*rollout.Rollout{}, portals: map[string][]string{},
	}
}

// openNode notes that a node's stream is open, until closed is called. Works is
// the list of paths that the node works with.
func (s *sites) openNode(v *view, name string, r nodeRecord, works string) (st *station, closed func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change := s.rollouts[r.Partition]
	if change == nil {
		change = rollout.New(v.settings(r.Partition)[ncPaths], s.log.With("partition", r.Partition))
		s.rollouts[r.Partition] = change
	}
	change.Connect(name, works, len(v.byInstance[r.InstanceID]) > 0, time.Now())
	wake(s.news)
	st = s.open(mallee.Site{Role: mallee.RoleNC, Name: name, InstanceID: r.InstanceID, Partition: r.Partition, Live: true, Paths: works})
	return st, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		// Both at once: whom the rollout knows has a station.
		s.close(st)
		change.Disconnect(name)
		wake(s.news)
	}
}

// openController notes that a storage controller's stream is open, until closed
// is called.
func (s *sites) openController(name, partition string) (st *station, closed func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// It makes its sessions when it reads a snapshot: nothing has to change over.
	st = s.open(mallee.Site{Role: mallee.RoleSC, Name: name, Partition: partition, Live: true, Settled: true})
	return st, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.close(st)
	}
}

// open is called with s.mu held.
func (s *sites) open(site mallee.Site) *station {
	st := &station{site: site, woken: make(chan struct{}, 1), gone: make(chan struct{})}
	s.stations[memberID(site.Role, site.Name)] = st
	return st
}

// close is called with s.mu held.
func (s *sites) close(st *station) {
	delete(s.stations, memberID(st.site.Role, st.site.Name))
	close(st.gone)
}

// wake has whoever waits on ch look again.
func wake(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// nodeReported takes what a node tells of itself.
func (s *sites) nodeReported(name string, report *cloudv1.NodeReport) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stations[memberID(mallee.RoleNC, name)]
	if st == nil {
		return
	}
	st.site = siteOf(st.site, report.GetSite())
	st.site.Paths, st.site.Settled = report.GetNcpaths(), report.GetSettled()
	told := rollout.Report{Paths: st.site.Paths, Settled: st.site.Settled}
	if isOf(st.site.Reach, st.site.Paths) {
		told.Looked, told.Possible = len(st.site.Reach), st.site.Possible()
	}
	if s.rollouts[st.site.Partition].Report(name, told) {
		wake(s.news)
	}
}

// controllerReported takes what a storage controller tells of its machine and of
// the SAN. What the SAN last advertised is kept while the SAN does not answer.
func (s *sites) controllerReported(name, partition string, report *cloudv1.PartitionReport) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stations[memberID(mallee.RoleSC, name)]
	if st == nil {
		return
	}
	if report.GetSite() != nil {
		st.site = siteOf(st.site, report.GetSite())
	}
	portals := slices.DeleteFunc(report.GetPortals(), func(p string) bool {
		_, err := netip.ParseAddrPort(p)
		return err != nil
	})
	if len(portals) == 0 || slices.Equal(portals, s.portals[partition]) {
		return
	}
	s.portals[partition] = portals
	s.wakeAll(partition)
}

// wakePartition has the streams of a partition look again.
func (s *sites) wakePartition(partition string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wakeAll(partition)
}

// wakeAll is wakePartition with s.mu held.
func (s *sites) wakeAll(partition string) {
	for _, st := range s.stations {
		if st.site.Partition == partition {
			wake(st.woken)
		}
	}
}

// addToPartition adds to a storage controller's state what depends on more than
// the records.
func (s *sites) addToPartition(state *cloudv1.PartitionState, st *station) *cloudv1.PartitionState {
	s.mu.Lock()
	defer s.mu.Unlock()
	state.Checks = st.checks()
	return state
}

// addToNode adds to a node's state what depends on more than the records.
func (s *sites) addToNode(state *cloudv1.NodeState, st *station) *cloudv1.NodeState {
	s.mu.Lock()
	defer s.mu.Unlock()
	state.Ncpaths = s.rollouts[st.site.Partition].List(st.site.Name)
	state.Portals = s.portals[st.site.Partition]
	state.Checks = st.checks()
	return state
}

// advertised returns the portals that the SAN of a partition last advertised.
func (s *sites) advertised(partition string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.portals[partition]
}
