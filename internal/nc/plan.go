// SPDX-License-Identifier: Apache-2.0

package nc

import (
	"errors"
	"fmt"
	"slices"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/connector"
	"github.com/mallee-io/mallee/internal/resolve"
	"github.com/mallee-io/mallee/internal/site"
)

// plan is a wish in the connector's terms, as far as this machine can tell now.
type plan struct {
	volume connector.Volume
	paths  []resolve.Path // that the list names, in its order
	// problem is why the list leads nowhere; the volume keeps the paths that it
	// has then.
	problem error
}

// newPlan joins what the SAN offers with the paths that the admin has chosen.
func newPlan(r site.Resolver, w wish) plan {
	e := w.GetExport()
	p := plan{volume: connector.Volume{
		Name:      w.GetVolumeId(),
		WWID:      e.GetWwid(),
		Target:    e.GetTarget(),
		LUN:       uint16(e.GetLun()),
		CHAP:      w.chap,
		SizeBytes: w.GetSizeBytes(),
		MinPaths:  w.minPaths,
	}}
	p.paths, p.problem = resolved(r, w)
	for _, path := range p.paths {
		if path.Unresolved == "" {
			// A storage processor has one target portal group; LIO calls it 1.
			p.volume.Portals = append(p.volume.Portals, connector.Portal{Addr: path.Portal, TPGT: 1, NetDevice: path.NetDevice})
		}
	}
	p.volume.Expected = len(p.paths)
	if len(p.volume.Portals) == 0 || slices.ContainsFunc(p.paths, unknown) {
		// That is no wish for none, or for fewer: with more than there can be the
		// connector keeps as many as it finds, also in a process that was just started
		// and has never known what the list means.
		p.volume.Expected = mallee.MaxPaths + 1
	}
	return p
}

// unknown reports whether nobody knows how many paths p will be.
func unknown(p resolve.Path) bool { return p.Unresolved != "" && p.Name != "" }

// resolved returns the paths that the list names, and an error if none of them
// leads anywhere.
func resolved(r site.Resolver, w wish) ([]resolve.Path, error) {
	list, advertised, err := site.Parse(w.ncpaths, w.advertised())
	if err != nil {
		return nil, fmt.Errorf("the property ncpaths is not usable: %w", err)
	}
	paths := r.Resolve(list, advertised).Paths
	if len(paths) == 0 {
		return nil, errors.New("the SAN tells no portal")
	}
	for _, path := range paths {
		if path.Unresolved == "" {
			return paths, nil
		}
	}
	return paths, fmt.Errorf("no path of ncpaths leads anywhere on this node; %s: %s", paths[0].Text, paths[0].Unresolved)
}

// obstacle tells what stands in the way of the volume, which was found to be as s
// tells; nothing does when it is empty. Tried is true when the paths have had
// their time.
func (p plan) obstacle(s connector.Status, tried bool) string {
	kept := ""
	if s.Device != "" && !s.Settled() {
		kept = ": the volume keeps the paths that it has"
	}
	switch {
	case s.Growth != "":
		return s.Growth
	case p.problem != nil:
		return p.problem.Error() + kept
	case kept != "" && tried && s.Up() == 0:
		return "no path of ncpaths can be reached" + kept
	case s.Device == "" && s.Up() > 0 && s.Up() < p.volume.MinPaths:
		return fmt.Sprintf("%d of %d paths that storage.minpaths asks for", s.Up(), p.volume.MinPaths)
	}
	return ""
}

// reports tells how the paths of the plan are, in the list's order, and after them
// those that are draining.
func (p plan) reports(s connector.Status) []*cloudv1.PathReport {
	found := s.Paths // one for each portal of the plan, and then others
	if len(found) < len(p.volume.Portals) {
		return nil // nobody could look
	}
	var list []*cloudv1.PathReport
	for _, path := range p.paths {
		r := &cloudv1.PathReport{Text: path.Text, Interface: path.Label, Device: path.NetDevice}
		if path.Unresolved != "" {
			r.State, r.Reason = string(mallee.PathUnresolved), path.Unresolved
		} else {
			setFound(r, found[0])
			found = found[1:]
		}
		list = append(list, r)
	}
	for _, path := range found {
		r := &cloudv1.PathReport{Device: path.NetDevice}
		setFound(r, path)
		list = append(list, r)
	}
	return list
}

func setFound(r *cloudv1.PathReport, p connector.Path) {
	r.Portal, r.State, r.BlockDev, r.Reason = p.Portal.String(), string(p.State), p.Disk, p.Reason
}
