// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/durable"
	"github.com/mallee-io/mallee/internal/store"
)

// pendingFile is a checked backup, in the state directory, for as long as its
// restore has not ended. A controller that finds it at its start ends the restore
// before it does anything else.
const pendingFile = "restore.pending"

// errRestore ends a run, so that the next one restores.
var errRestore = errors.New("a backup is to be restored")

// restore puts a backup in the place of the records and the CA. It is made of
// steps that can each be done again, so that one that was interrupted, even by a
// power failure, is ended by doing all of them.
type restore struct {
	path   string // of the backup
	backup *backup
}

// pendingRestore returns the restore that has to be ended, or nil.
func pendingRestore(stateDir string) (*restore, error) {
	path := filepath.Join(stateDir, pendingFile)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot end the restore: %w", err)
	}
	defer f.Close()
	b, err := readBackup(f)
	if err != nil {
		return nil, &mallee.Error{
			Op: "end the restore of", Kind: mallee.Invalid, ID: path, Err: err,
			Hint: "put a good backup in its place, or move it away to start with the records as they are, which may be half of what they were",
		}
	}
	return &restore{path, b}, nil
}

// finish does the steps on the store that the controller has.
func (r *restore) finish(ctx context.Context, o Options) (err error) {
	s, err := store.Open(ctx, o.store())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for _, step := range r.steps(s, o.StateDir) {
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("cannot restore the backup of %v: %s: %w", r.backup.Created, step.name, err)
		}
	}
	o.Log.InfoContext(ctx, "backup restored", "created", r.backup.Created, "records", len(r.backup.records))
	return nil
}

type restoreStep struct {
	name string
	do   func(context.Context) error
}

func (r *restore) steps(s *store.Store, stateDir string) []restoreStep {
	write := func(c cloudRecord) func(context.Context) error {
		return func(ctx context.Context) error {
			return s.Update(ctx, func(tx *store.Tx) error { return clouds.Put(tx, cloudID, c) })
		}
	}
	host, _ := os.Hostname()
	host += ":" + stateDir
	authority := r.backup.authority
	return []restoreStep{
		// Another controller of an external etcd must not serve half of the records.
		{"mark the records", write(cloudRecord{CA: authority.Fingerprint(), Restoring: host})},
		{"replace the records", func(ctx context.Context) error {
			aged, err := age(r.backup.records)
			if err != nil {
				return err
			}
			return s.Replace(ctx, aged, clouds.Name())
		}},
		{"replace the certificate authority", func(context.Context) error { return authority.Install(filepath.Join(stateDir, "ca")) }},
		{"unmark the records", write(cloudRecord{CA: authority.Fingerprint()})},
		{"remove the backup", func(context.Context) error { return errors.Join(os.Remove(r.path), durable.SyncDir(stateDir)) }},
	}
}

// generationGap is how far the generations of a restored volume are beyond those
// of the backup. The volume may have been attached some times since, and what is
// left of that must not be taken for what comes.
const generationGap = 1000

// age returns the records as they may be acted on, although the cloud has gone
// on since. A detach that had begun then may have ended, and the volume may have
// come to the same node anew: what was under way then would cut it off now. So
// each attachment is wanted again, and who wants it gone says so again. A join
// token may have been used since, and is good for one use. A part may have renewed
// its certificate since, and is known by its joining until it calls.
func age(records []store.Record) ([]store.Record, error) {
	aged := make([]store.Record, 0, len(records))
	for _, r := range records {
		var err error
		switch r.Table {
		case joinTokens.Name():
			continue
		case volumes.Name():
			r, err = volumes.Edit(r, func(v volumeRecord) volumeRecord {
				v.Generation += generationGap
				return v
			})
		case attachments.Name():
			r, err = attachments.Edit(r, rewanted)
		case members.Name():
			r, err = members.Edit(r, func(m memberRecord) memberRecord {
				m.Serial, m.Previous = "", ""
				return m
			})
		}
		if err != nil {
			return nil, err
		}
		aged = append(aged, r)
	}
	return aged, nil
}

// rewanted keeps the export: a node that is told of none takes it that nothing
// is there to be let go. Whether the device is there, the node tells when it is back.
func rewanted(a attachmentRecord) attachmentRecord {
	a.Message = ""
	if !a.Wanted || a.Released {
		a.Message = "its detach had begun before the backup that was restored: ask for it again"
	}
	a.Wanted, a.Released, a.State, a.HostDevice = true, false, mallee.Attaching, ""
	return a
}
