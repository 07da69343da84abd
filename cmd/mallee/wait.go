// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mallee-io/mallee"
)

// patience is how the tool waits for the cloud to be done.
type patience struct {
	interval time.Duration // between two looks
	watch    time.Duration // between two looks of --watch
	silence  time.Duration // what takes no longer is not worth a word
	limit    time.Duration // when to stop
}

var defaultPatience = patience{interval: 200 * time.Millisecond, watch: time.Second, silence: time.Second, limit: 5 * time.Minute}

// wait looks until look says that the cloud is done with volume id, or returns an
// error. doing is what the cloud does meanwhile, "attaching" for example; look
// returns also what holds it up, if anything is known. When ctx ends, what was
// asked for goes on.
func (t *tool) wait(ctx context.Context, id mallee.VolumeID, doing string, look func(context.Context) (finished bool, detail string, err error)) error {
	ctx, cancel := context.WithTimeout(ctx, t.patience.limit)
	defer cancel()
	ticker := time.NewTicker(t.patience.interval)
	defer ticker.Stop()

	progress := t.progress()
	defer progress.end()
	status := doing
	for {
		lookCtx, cancel := context.WithTimeout(ctx, callTimeout)
		finished, detail, err := look(lookCtx)
		cancel()
		if ctx.Err() != nil { // the call was cut, which says nothing of the volume
			return pendingError{id, status, ctx.Err()}
		}
		if kindOf(err) == mallee.Unavailable {
			// The CLC may be restarting. It does not forget what was asked for.
			finished, detail, err = false, "the cloud does not answer", nil
		}
		if err != nil || finished {
			return err
		}
		status = doing
		if detail != "" {
			status += ": " + detail
		}
		progress.tell(string(id) + ": " + status)
		select {
		case <-ctx.Done():
			return pendingError{id, status, ctx.Err()}
		case <-ticker.C:
		}
	}
}

// waitVolume waits until done is content with the volume.
func (t *tool) waitVolume(ctx context.Context, c cloud, id mallee.VolumeID, doing string, done func(mallee.Volume, error) (bool, string, error)) error {
	return t.wait(ctx, id, doing, func(ctx context.Context) (bool, string, error) { return done(c.Volume(ctx, id)) })
}

// untilCreated is done when the SAN has made the volume.
func untilCreated(v mallee.Volume, err error) (bool, string, error) {
	if err == nil && v.State == mallee.VolumeError {
		err = stateError(v)
	}
	return v.State != mallee.VolumeCreating, v.Message, err
}

// untilDeleted is done when the volume is not known any more.
func untilDeleted(v mallee.Volume, err error) (bool, string, error) {
	if err != nil && kindOf(err) == mallee.NotFound {
		return true, "", nil
	}
	if err == nil && v.State == mallee.VolumeError {
		err = stateError(v)
	}
	return false, v.Message, err
}

// untilDetached returns a function that is done when the volume no longer has that
// attachment. It may have the next one by then.
func untilDetached(old mallee.Attachment) func(mallee.Volume, error) (bool, string, error) {
	return func(v mallee.Volume, err error) (bool, string, error) {
		if err != nil || v.Attachment == nil || v.Attachment.Generation != old.Generation {
			return true, "", err
		}
		return false, v.Attachment.Message, nil
	}
}

// untilAttached returns a function that is done when the volume is a device on
// the node. It stores the attachment as it saw it last.
func untilAttached(seen *mallee.Attachment) func(mallee.Volume, error) (bool, string, error) {
	return func(v mallee.Volume, err error) (bool, string, error) {
		if err != nil {
			return false, "", err
		}
		if v.Attachment == nil || v.Attachment.Generation > seen.Generation && seen.Generation != 0 {
			return false, "", &mallee.Error{Op: "attach", Kind: mallee.NotAttached, ID: string(v.ID), Err: errors.New("it was detached meanwhile")}
		}
		*seen = *v.Attachment
		return seen.State == mallee.Attached, seen.Message, nil
	}
}

func stateError(v mallee.Volume) error {
	return fmt.Errorf("its state is %s: %s", v.State, v.Message)
}
