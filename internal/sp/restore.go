// SPDX-License-Identifier: Apache-2.0

package sp

import (
	"context"
	"net/netip"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/lio"
	"github.com/mallee-io/mallee/internal/lvm"
	"github.com/mallee-io/mallee/internal/sp/ledger"
)

// restore makes pool and target, and brings back every export. After a reboot
// the kernel has nothing and the cache tells all; when only this process was
// killed the kernel has everything, and nothing is touched.
func (s *Server) restore(ctx context.Context, portals []netip.AddrPort) error {
	if err := s.volumes.Ensure(ctx); err != nil {
		return err
	}
	if err := s.target.Prepare(portals); err != nil {
		return err
	}
	if err := s.exports.adopt(s.target.Mappings()); err != nil {
		return err
	}
	wanted := s.exports.Exports()
	volumes, err := s.activate(ctx, wanted)
	if err != nil {
		return err
	}
	for _, m := range wanted {
		log := s.log.With("volume_id", m.Volume, "initiator", m.Initiator, "lun", m.LUN)
		v, there := volumes[string(m.Volume)]
		if !there {
			log.ErrorContext(ctx, "export not restored: its volume is not there")
			continue
		}
		if _, err := s.establish(ctx, v, mapping(m)); err != nil {
			s.logFailure(ctx, log, "export not restored", err)
			continue
		}
		v.Active = true
		volumes[v.ID] = v
		log.InfoContext(ctx, "export restored")
	}
	return s.target.Enable()
}

// activate gives every volume that shall be exported its device, with one run of
// lvm: nodes wait for their paths for a bounded time, and hundreds of runs would
// take longer than that. It returns our volumes by id. One that it could not
// activate is left for establish to try alone.
func (s *Server) activate(ctx context.Context, wanted []ledger.Export) (map[string]lvm.Volume, error) {
	contents, err := s.contents(ctx)
	if err != nil {
		return nil, err
	}
	isWanted := map[string]bool{}
	for _, m := range wanted {
		isWanted[string(m.Volume)] = true
	}
	var names []string
	for _, v := range contents.Volumes {
		if isWanted[v.ID] && !v.Active {
			names = append(names, v.Name)
		}
	}
	if len(names) > 0 {
		if err := s.volumes.Activate(ctx, names...); err != nil {
			s.logFailure(ctx, s.log, "not all volumes were activated", err)
		}
		if contents, err = s.contents(ctx); err != nil {
			return nil, err
		}
	}
	volumes := map[string]lvm.Volume{}
	for _, v := range contents.Volumes {
		if err := s.mend(ctx, v); err != nil {
			s.logFailure(ctx, s.log.With("volume_id", v.ID), "device of a volume cannot be refreshed", err)
		}
		volumes[v.ID] = v
	}
	return volumes, nil
}

// establish makes the kernel export a volume as m says, whatever of it is missing,
// and reports whether this process had not done so before.
func (s *Server) establish(ctx context.Context, v lvm.Volume, m lio.Mapping) (isNew bool, err error) {
	if !v.Active {
		if err := s.volumes.Activate(ctx, v.Name); err != nil {
			return false, err
		}
	}
	err = s.target.AddBackstore(lio.Backstore{
		Name:    v.ID,
		Device:  s.volumes.Device(v.Name),
		Serial:  serial(mallee.VolumeID(v.ID)),
		Vendor:  vendorID,
		Product: productID,
	})
	if err != nil {
		return false, err
	}
	if err := s.authenticate(m.Initiator); err != nil {
		return false, err
	}
	if err := s.target.Map(m); err != nil {
		return false, err
	}
	return s.exports.setLive(keyOf(m), true), nil
}

// authenticate makes the kernel ask an initiator for its latest secret. One without
// is left as it is: nobody logs in as one whom the kernel has no secret of either.
// Calls take turns, so that the one for the later secret comes last.
func (s *Server) authenticate(initiator mallee.IQN) error {
	s.authenticating.Lock()
	defer s.authenticating.Unlock()
	chap := s.exports.Secret(initiator)
	if chap == (mallee.CHAP{}) {
		return nil
	}
	return s.target.Authenticate(initiator, chap)
}
