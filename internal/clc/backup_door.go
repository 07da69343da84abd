// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/auth"
	"github.com/mallee-io/mallee/internal/durable"
	"github.com/mallee-io/mallee/internal/query"
)

const (
	// transferTimeout bounds the transfer of a backup, whose size is not that of
	// an ordinary call.
	transferTimeout = 15 * time.Minute
	// uploadReserve is what an upload must leave free on the disk: a full one
	// would stop the store.
	uploadReserve = 256 << 20
)

// backupDoor serves GET /v1/backup and POST /v1/restore.
type backupDoor struct {
	controller *Controller
	verifier   *auth.Verifier
	stateDir   string
	log        *slog.Logger
	restoring  sync.Mutex
}

func (d *backupDoor) mount(mux *http.ServeMux) {
	for pattern, serve := range map[string]func(http.ResponseWriter, *http.Request) error{
		"GET /v1/backup": d.backup, "POST /v1/restore": d.restore,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), transferTimeout)
			defer cancel()
			control := http.NewResponseController(w)
			deadline := time.Now().Add(transferTimeout)
			err := errors.Join(control.SetReadDeadline(deadline), control.SetWriteDeadline(deadline))
			if err == nil {
				err = serve(w, r.WithContext(ctx))
			}
			if err != nil {
				d.log.WarnContext(ctx, "call failed", "call", pattern, "remote", r.RemoteAddr, "error", err)
				fault(err).ServeHTTP(w, r)
			}
		})
	}
}

// fault returns what the caller may see of err.
func fault(err error) *query.Fault {
	if e, ok := errors.AsType[*auth.Error](err); ok {
		return query.Faultf(string(e.Code), "%s", e.Message)
	}
	e, ok := errors.AsType[*mallee.Error](err)
	if !ok {
		return query.Faultf("InternalError", "An internal error has occurred")
	}
	message := strings.TrimSuffix(e.Error()+". "+e.Hint, ". ")
	switch e.Kind {
	case mallee.IncorrectState:
		return query.Faultf("IncorrectState", "%s", message)
	case mallee.Invalid:
		return query.Faultf("InvalidParameterValue", "%s", message)
	case mallee.Unavailable:
		return query.Faultf("Unavailable", "%s", message)
	}
	return query.Faultf("InternalError", "%s", message)
}

// backup sends a backup.
func (d *backupDoor) backup(w http.ResponseWriter, r *http.Request) error {
	proof, _, err := d.verifier.Verify(r)
	if err != nil {
		return err
	}
	snap, err := d.controller.store.Snapshot(r.Context())
	if err != nil {
		return err
	}
	d.log.InfoContext(r.Context(), "backup taken", "access_key", proof.AccessKey, "revision", snap.Revision())
	w.Header().Set("Content-Type", "application/gzip")
	w.Header().Set("Cache-Control", "no-store")
	buffered := bufio.NewWriterSize(w, 64<<10)
	if err := errors.Join(newBackup(snap, d.controller.parts.CA).write(buffered), buffered.Flush()); err != nil {
		// What was sent so far must not look like a whole answer.
		d.log.WarnContext(r.Context(), "backup cut off", "error", err)
		panic(http.ErrAbortHandler)
	}
	return nil
}

// restored is the answer to a restore that was accepted.
type restored struct {
	Created     time.Time `json:"created"`
	Volumes     int       `json:"volumes"`
	Attachments int       `json:"attachments"`
	Nodes       int       `json:"nodes"`
}

// restore takes a backup, checks it, and has the controller start anew with it.
func (d *backupDoor) restore(w http.ResponseWriter, r *http.Request) error {
	const op = "restore"
	proof, body, err := d.verifier.VerifyStream(r, maxBackup)
	if err != nil {
		return err
	}
	if !d.restoring.TryLock() {
		return refuse(op, mallee.IncorrectState, "", "another restore is under way")
	}
	defer d.restoring.Unlock()
	if err := d.roomFor(r.ContentLength); err != nil {
		return err
	}
	upload, err := os.OpenFile(filepath.Join(d.stateDir, "restore.upload"), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(upload.Name())
	defer upload.Close()
	if _, err := io.Copy(upload, body); err != nil {
		return err
	}
	if _, err := upload.Seek(0, io.SeekStart); err != nil {
		return err
	}
	b, err := readBackup(upload)
	if err == nil {
		_, err = age(b.records)
	}
	if err != nil {
		return &mallee.Error{Op: op, Kind: mallee.Invalid, Err: err, Hint: "nothing was changed"}
	}
	if r.URL.Query().Get("force") != "true" {
		if err := d.refuseToReplace(r.Context()); err != nil {
			return err
		}
	}
	if err := upload.Sync(); err != nil {
		return err
	}
	if err := os.Rename(upload.Name(), filepath.Join(d.stateDir, pendingFile)); err != nil {
		return err
	}
	if err := durable.SyncDir(d.stateDir); err != nil {
		return err
	}
	d.log.WarnContext(r.Context(), "a backup is restored", "access_key", proof.AccessKey, "created", b.Created, "records", len(b.records))
	select {
	case d.controller.restore <- struct{}{}:
	default: // the restart is under way already and will find the file
	}
	w.Header().Set("Content-Type", "application/json")
	count := map[string]int{}
	for _, r := range b.records {
		count[r.Table]++
	}
	return json.NewEncoder(w).Encode(restored{b.Created, count[volumes.Name()], count[attachments.Name()], count[nodes.Name()]})
}

// refuseToReplace refuses if the records hold what people would miss.
func (d *backupDoor) refuseToReplace(ctx context.Context) error {
	snap, err := d.controller.store.Snapshot(ctx)
	if err != nil {
		return err
	}
	count := map[string]int{}
	for r := range snap.Records() {
		count[r.Table]++
	}
	var holds []string
	for _, t := range []table{volumes, attachments, nodes} {
		if n := count[t.Name()]; n > 0 {
			holds = append(holds, fmt.Sprintf("%d %s", n, t.Name()))
		}
	}
	if len(holds) == 0 {
		return nil
	}
	return &mallee.Error{
		Op: "restore", Kind: mallee.IncorrectState,
		Err:  fmt.Errorf("this cloud controller holds %s, which the backup would replace", strings.Join(holds, ", ")),
		Hint: "take a backup of it and use --force",
	}
}

// roomFor refuses an upload of so many bytes if it would leave too little of the disk.
func (d *backupDoor) roomFor(length int64) error {
	if length < 0 {
		return refuse("restore", mallee.Invalid, "", "the length of the backup is not told: send Content-Length")
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(d.stateDir, &fs); err != nil {
		return err
	}
	if free := int64(fs.Bavail) * fs.Bsize; free < length+uploadReserve {
		return refuse("restore", mallee.Unavailable, d.stateDir, "its file system has %d MiB free, and %d MiB are needed", free>>20, (length+uploadReserve)>>20)
	}
	return nil
}
