// SPDX-License-Identifier: Apache-2.0

package sc

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/config"
	"github.com/mallee-io/mallee/internal/san"
)

const (
	// resync is how often the SAN is looked at when nothing has happened.
	resync = 30 * time.Second
	// lookAgain is how soon the SAN is looked at again when it did not answer.
	lookAgain = 3 * time.Second
	// parallel bounds the operations under way: a SAN does few things at once,
	// and a long queue there runs into deadlines.
	parallel = 8
)

// reconciler brings the SAN to the latest state. Its fields belong to run.
type reconciler struct {
	options Options
	states  <-chan wishes
	report  func(*cloudv1.PartitionReport, wishes)
	view    *view
	metrics *metrics

	want    wishes
	san     SAN    // nil until sanhost is set
	sanhost string // the value that san was opened for
	// login is what the SAN's calls prove themselves with, those under way too.
	login atomic.Pointer[san.Login]
	blind error // why the SAN could not be looked at; nil when it could

	running sync.WaitGroup
	slots   chan struct{}
	done    chan outcome

	busy    map[key]bool    // an operation is under way
	trouble map[key]trouble // why the last operation failed
	removed map[key]bool    // an operation has removed it since it is unwanted
	// told is the secret of each initiator that this SAN was told last, or is being.
	told    map[mallee.IQN]mallee.CHAP
	strange map[key]bool // on the SAN, named by no wish, and logged
}

// key names what an operation is on: a volume, or its export to an initiator.
type key struct {
	volume    string
	initiator string // empty for the volume itself
}

func newReconciler(o Options, states <-chan wishes, report func(*cloudv1.PartitionReport, wishes), v *view) *reconciler {
	return &reconciler{
		options: o, states: states, report: report, view: v, metrics: newMetrics(o.Registry),
		slots: make(chan struct{}, parallel), done: make(chan outcome),
		busy: map[key]bool{}, trouble: map[key]trouble{}, removed: map[key]bool{},
		told: map[mallee.IQN]mallee.CHAP{}, strange: map[key]bool{},
	}
}

func (r *reconciler) run(ctx context.Context) error {
	defer r.close()
	timer := time.NewTimer(resync)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case w := <-r.states:
			r.take(w)
		case o := <-r.done:
			r.finish(o)
		case <-r.view.changed:
		case <-timer.C:
		}
		r.drain()
		if !r.want.good() {
			continue // nothing is known of what should be
		}
		report := r.step(ctx)
		report.Site = r.view.report()
		r.report(report, r.want)
		timer.Reset(r.pause())
	}
}

// drain takes what is ready by now, so that one look at the SAN serves it all.
func (r *reconciler) drain() {
	for {
		select {
		case w := <-r.states:
			r.take(w)
		case o := <-r.done:
			r.finish(o)
		default:
			return
		}
	}
}

// take makes w what is wanted.
func (r *reconciler) take(w wishes) {
	if w.lost != r.want.lost {
		// What was removed may have been made again by another controller, and what
		// was told may be told otherwise.
		clear(r.removed)
		clear(r.told)
	}
	r.want = w
	r.view.set(w.GetScpaths(), nil) // the SAN may take its time
	r.login.Store(&san.Login{User: w.GetSanUser(), Password: w.GetSanPassword()})
}

func (r *reconciler) close() {
	r.running.Wait()
	if r.san != nil {
		r.san.Close()
	}
}

// step looks at the SAN, starts what has to be done and returns what to report.
func (r *reconciler) step(ctx context.Context) *cloudv1.PartitionReport {
	r.forget()
	have, err := r.look(ctx)
	r.metrics.sanUp(err == nil)
	// It is tried every few seconds; a line for each would bury the others.
	if err != nil && (r.blind == nil || r.blind.Error() != err.Error()) && ctx.Err() == nil {
		r.options.Log.WarnContext(ctx, "cannot see what the SAN holds", "error", err)
	}
	if r.blind = err; err != nil {
		return unknown(r.want.state, err)
	}
	r.view.set(r.want.GetScpaths(), have.portals)
	report := &cloudv1.PartitionReport{Pool: have.pool, Portals: have.portals}
	for _, d := range r.want.GetVolumes() {
		report.Volumes = append(report.Volumes, r.volume(ctx, d, have))
	}
	for _, d := range r.want.GetExports() {
		report.Exports = append(report.Exports, r.export(ctx, d, have))
	}
	for _, e := range have.retired {
		report.Retired = append(report.Retired, &cloudv1.RetiredLUN{
			VolumeId: string(e.VolumeID), Initiator: string(e.Initiator), Export: exportMessage(e),
		})
	}
	r.logStrange(ctx, have)
	return report
}

// look returns the inventory, from the SAN that the state names.
func (r *reconciler) look(ctx context.Context) (*inventory, error) {
	if r.san == nil || r.sanhost != r.want.GetSanhost() {
		if err := r.open(); err != nil {
			return nil, err
		}
	}
	return take(ctx, r.san)
}

func (r *reconciler) open() error {
	hosts, err := mallee.ParseHosts(r.want.GetSanhost(), config.SPAdminPort)
	if err != nil {
		return fmt.Errorf("storage.sanhost: %w", err)
	}
	if len(hosts) == 0 {
		return fmt.Errorf("%s.storage.sanhost is not set", r.want.GetPartition())
	}
	return r.connect(hosts)
}

// connect leaves the SAN that was used so far. Operations on it end with an
// error and are begun anew on the next.
func (r *reconciler) connect(hosts []mallee.Endpoint) error {
	s, err := r.options.Open(hosts, func() san.Login { return *r.login.Load() })
	if err != nil {
		return err
	}
	if r.san != nil {
		r.san.Close()
	}
	r.san, r.sanhost = s, r.want.GetSanhost()
	// What was removed from one SAN may well be on the other, which was told nothing.
	clear(r.removed)
	clear(r.told)
	return nil
}

// forget drops what is remembered about wishes that are no more.
func (r *reconciler) forget() {
	wished, unwanted := map[key]bool{}, map[key]bool{}
	for _, d := range r.want.GetVolumes() {
		k := key{volume: d.GetVolumeId()}
		wished[k], unwanted[k] = true, !d.GetWanted()
	}
	for _, d := range r.want.GetExports() {
		k := key{d.GetVolumeId(), d.GetInitiator()}
		wished[k], unwanted[k] = true, !d.GetWanted()
	}
	for k := range r.trouble {
		if !wished[k] {
			delete(r.trouble, k)
		}
	}
	for k := range r.removed {
		if !unwanted[k] {
			delete(r.removed, k)
		}
	}
}

// pause is the time until the next step if nothing happens before.
func (r *reconciler) pause() time.Duration {
	pause := resync
	if r.blind != nil {
		pause = lookAgain
	}
	for k, t := range r.trouble {
		if !r.busy[k] && !t.final {
			pause = min(pause, max(time.Until(t.next), firstRetry))
		}
	}
	return pause
}
