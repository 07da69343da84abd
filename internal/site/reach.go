// SPDX-License-Identifier: Apache-2.0

package site

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/resolve"
)

// looksAtOnce bounds how many paths of a list are looked at side by side: a portal
// that is silent takes its time, and there may be many.
const looksAtOnce = 16

// reach tells of each path whether it can be reached, in their order.
func (s *Site) reach(ctx context.Context, paths []resolve.Path, probe bool) []*cloudv1.Reach {
	list := make([]*cloudv1.Reach, len(paths))
	var looks errgroup.Group
	looks.SetLimit(looksAtOnce)
	for i, p := range paths {
		looks.Go(func() error {
			list[i] = s.look(ctx, p, probe)
			return nil
		})
	}
	_ = looks.Wait() // none fails
	return list
}

func (s *Site) look(ctx context.Context, p resolve.Path, probe bool) *cloudv1.Reach {
	r := &cloudv1.Reach{Text: p.Text, Label: p.Label, Device: p.NetDevice}
	if p.Portal.IsValid() {
		r.Portal = p.Portal.String()
	}
	switch {
	case p.Unresolved != "":
		r.State, r.Reason = string(mallee.Unresolved), p.Unresolved
	case s.options.LoggedIn(p.NetDevice, p.Portal):
		r.State, r.Evidence = string(mallee.Reachable), string(mallee.BySession)
	default:
		v := s.options.Judge(ctx, p.NetDevice, p.Portal, probe)
		r.State, r.Evidence, r.Reason = string(v.State), string(v.Evidence), v.Reason
	}
	return r
}
