// SPDX-License-Identifier: Apache-2.0

// Package site looks at the machine that it runs on as paths see it, and changes
// nothing there.
//
// A list is a value of ncpaths or scpaths. A survey tells the machine's network
// devices and interface labels, what each path of the list that the machine works
// with means there, and whether it can be reached; it is made again and again. A
// check is a question of the cloud controller: what would this other list mean?
package site

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/reach"
	"github.com/mallee-io/mallee/internal/resolve"
)

// Resolver tells what a list means on this machine. A *resolve.Resolver does.
type Resolver interface {
	Resolve(list mallee.Paths, advertised []netip.AddrPort) resolve.Resolution
	ResolveNow(ctx context.Context, list mallee.Paths, advertised []netip.AddrPort) resolve.Resolution
	Labels() []mallee.InterfaceLabel
	Changed() <-chan struct{}
}

// Options of a Site. Devices and Judge are package reach's when they are nil; all
// others are required.
type Options struct {
	Resolver Resolver
	// LoggedIn reports whether a session over just this device, or routing's
	// choice when it is empty, is logged in to the portal.
	LoggedIn func(netDevice string, portal netip.AddrPort) bool
	// Found is called with each survey and the list that it is about, one after
	// the other.
	Found func(list string, found *cloudv1.Site)
	Log   *slog.Logger

	Devices func() ([]mallee.NetDevice, error)
	Judge   func(ctx context.Context, netDevice string, portal netip.AddrPort, probe bool) reach.Verdict
}

// Site surveys this machine. It is safe for concurrent use.
type Site struct {
	options Options
	changed chan struct{} // holds one token while there is a list that was not surveyed
	slots   chan struct{} // one token for each check that runs
	running sync.WaitGroup

	mu         sync.Mutex
	list       string // empty until there is one
	advertised []string
	client     cloudv1.CloudClient // that asked is about
	asked      map[string]bool     // the ids of checks that run or are answered
}

// New returns a Site that surveys nothing until Run.
func New(o Options) *Site {
	if o.Devices == nil {
		o.Devices = reach.Devices
	}
	if o.Judge == nil {
		o.Judge = reach.Judge
	}
	return &Site{options: o, changed: make(chan struct{}, 1), slots: make(chan struct{}, checksAtOnce)}
}

// How often a survey is made without any reason, and at most.
const (
	surveyInterval = 15 * time.Second
	surveyPause    = 2 * time.Second
)

// surveyTimeout bounds the look at all paths of a list.
const surveyTimeout = 10 * time.Second

// Set tells the list that the machine works with, and the portals that the SAN
// advertises, "address:port" each.
func (s *Site) Set(list string, advertised []string) {
	s.mu.Lock()
	same := s.list == list && slices.Equal(s.advertised, advertised)
	s.list, s.advertised = list, advertised
	s.mu.Unlock()
	if same {
		return
	}
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// Run makes surveys until ctx ends, and then returns nil. The
// first survey is made when there is a list.
func (s *Site) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.changed:
	}
	for {
		resolved := s.options.Resolver.Changed()
		s.mu.Lock()
		list, advertised := s.list, s.advertised
		s.mu.Unlock()
		if found := s.survey(ctx, list, advertised); ctx.Err() == nil {
			s.options.Found(list, found)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(surveyPause):
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.changed:
		case <-resolved:
		case <-time.After(surveyInterval - surveyPause):
		}
	}
}

func (s *Site) survey(ctx context.Context, list string, advertised []string) *cloudv1.Site {
	ctx, cancel := context.WithTimeout(ctx, surveyTimeout)
	defer cancel()
	found := &cloudv1.Site{}
	devices, err := s.options.Devices()
	if err != nil {
		found.Warnings = append(found.Warnings, err.Error())
	}
	for _, d := range devices {
		found.Devices = append(found.Devices, &cloudv1.NetDevice{Name: d.Name, Up: d.Up, Addresses: d.Addresses})
	}
	for _, l := range s.options.Resolver.Labels() {
		found.Labels = append(found.Labels, &cloudv1.InterfaceLabel{
			Label: l.Label, Device: l.NetDevice, Source: l.Source, Problem: l.Problem,
		})
	}
	paths, portals, err := Parse(list, advertised)
	if err != nil {
		found.Warnings = append(found.Warnings, err.Error())
		return found
	}
	resolution := s.options.Resolver.Resolve(paths, portals)
	found.Warnings = append(found.Warnings, resolution.Warnings...)
	found.Reach = s.reach(ctx, resolution.Paths, false)
	return found
}

// Parse parses a list and, if it is "nopath", the portals that the SAN advertises,
// which it then means.
func Parse(list string, advertised []string) (mallee.Paths, []netip.AddrPort, error) {
	paths, err := mallee.ParsePaths(list)
	if err != nil || !paths.Any {
		return paths, nil, err
	}
	portals, err := mallee.ParseAddrs(strings.Join(advertised, ","), mallee.ISCSIPort)
	return paths, portals, err
}
