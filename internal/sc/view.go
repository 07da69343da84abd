// SPDX-License-Identifier: Apache-2.0

package sc

import (
	"cmp"
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/site"
)

// view is this machine seen along scpaths. Nothing is read over these paths yet, as
// snapshots will be: an admin learns in advance whether they would do.
type view struct {
	site    *site.Site
	changed chan struct{} // holds one token while latest was not reported

	mu      sync.Mutex
	latest  *cloudv1.Site // nil until there was a survey
	portals []string      // that the SAN has advertised
}

func newView(resolver site.Resolver, log *slog.Logger) *view {
	v := &view{changed: make(chan struct{}, 1)}
	v.site = site.New(site.Options{
		Resolver: resolver, Found: v.found, Log: log,
		// This machine logs in to nothing.
		LoggedIn: func(string, netip.AddrPort) bool { return false },
	})
	return v
}

// set tells the list and, unless they are not known, the portals of the SAN.
func (v *view) set(scpaths string, portals []string) {
	if len(portals) > 0 {
		v.mu.Lock()
		v.portals = slices.Clone(portals)
		v.mu.Unlock()
	}
	// A cloud controller of before this property had a use sends none.
	v.site.Set(cmp.Or(scpaths, mallee.NoPath), v.advertised())
}

// check answers what the cloud controller asks, without waiting for the SAN.
func (v *view) check(ctx context.Context, c cloudv1.CloudClient, checks []*cloudv1.PathCheck) {
	v.site.Check(ctx, c, checks, v.advertised())
}

func (v *view) advertised() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.portals
}

// report returns what was last found, nil if nothing was.
func (v *view) report() *cloudv1.Site {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.latest
}

// found takes over a survey, and has it reported if it says something new.
func (v *view) found(_ string, s *cloudv1.Site) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if proto.Equal(v.latest, s) {
		return
	}
	v.latest = s
	select {
	case v.changed <- struct{}{}:
	default:
	}
}
