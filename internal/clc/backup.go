// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"time"

	"github.com/mallee-io/mallee/internal/ca"
	"github.com/mallee-io/mallee/internal/store"
)

// A backup is all records as of one moment, and the CA. It is text, compressed
// with gzip, a JSON value on each line:
//
//	{"mallee_backup":1,"created":…,"revision":…,"ca":{"certificate":PEM,"key":PEM}}
//	{"table":"volumes","id":"vol-…","record":{"schema":1,"value":{…}}}
//	…
//	{"records":2,"bytes":…,"sha256":…}
//
// The last line counts the records, and the bytes of all lines before it, whose
// SHA-256 it has, so that half a file is not taken for a whole one.
type backup struct {
	Created   time.Time
	Revision  int64 // of etcd
	authority *ca.CA
	records   []store.Record
}

// backupFormat is raised when an older program could not read a backup rightly.
const backupFormat = 1

const (
	// maxBackup bounds a backup in bytes, both as it is sent and unpacked.
	maxBackup = 1 << 30
	// maxBackupLine bounds a line: a record with its id and table.
	maxBackupLine = 2 << 20
)

type backupHead struct {
	Format   int       `json:"mallee_backup"`
	Created  time.Time `json:"created"`
	Revision int64     `json:"revision"`
	CA       struct {
		Certificate string `json:"certificate"`
		Key         string `json:"key"`
	} `json:"ca"`
}

type backupLine struct {
	Table  string          `json:"table"`
	ID     string          `json:"id"`
	Record json.RawMessage `json:"record"`
}

type backupTail struct {
	Records int    `json:"records"`
	Bytes   int64  `json:"bytes"`
	SHA256  string `json:"sha256"`
}

// newBackup returns a backup of snap and the CA.
func newBackup(snap *store.Snapshot, authority *ca.CA) *backup {
	return &backup{Created: time.Now().UTC(), Revision: snap.Revision(), authority: authority, records: slices.Collect(snap.Records())}
}

// write writes the backup in its format.
func (b *backup) write(w io.Writer) error {
	key, err := b.authority.KeyPEM()
	if err != nil {
		return err
	}
	head := backupHead{Format: backupFormat, Created: b.Created, Revision: b.Revision}
	head.CA.Certificate, head.CA.Key = string(b.authority.CertPEM()), string(key)

	packed := gzip.NewWriter(w)
	lines := &countedHash{Hash: sha256.New()}
	out := json.NewEncoder(io.MultiWriter(packed, lines))
	out.SetEscapeHTML(false)
	if err := out.Encode(head); err != nil {
		return err
	}
	for _, r := range b.records {
		if err := out.Encode(backupLine{r.Table, r.ID, r.Text}); err != nil {
			return err
		}
	}
	if err := out.Encode(backupTail{len(b.records), lines.bytes, lines.sum()}); err != nil {
		return err
	}
	return packed.Close()
}

type countedHash struct {
	hash.Hash
	bytes int64
}

func (h *countedHash) Write(p []byte) (int, error) {
	h.bytes += int64(len(p))
	return h.Hash.Write(p)
}

func (h *countedHash) addLine(line []byte) {
	// A hash never returns an error (hash.Hash).
	_, _ = h.Write(line)
	_, _ = h.Write([]byte{'\n'})
}

func (h *countedHash) sum() string { return hex.EncodeToString(h.Sum(nil)) }

// readBackup reads a backup and checks all of it: that it is whole, that its CA's
// key fits the certificate, and that each record is one that this program knows.
func readBackup(r io.Reader) (*backup, error) {
	b, err := decodeBackup(r)
	if err != nil {
		return nil, fmt.Errorf("cannot read the backup: %w", err)
	}
	return b, nil
}

func decodeBackup(r io.Reader) (*backup, error) {
	packed, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("it is not in gzip's format: %w", err)
	}
	lines := bufio.NewScanner(io.LimitReader(packed, maxBackup))
	lines.Buffer(make([]byte, 64<<10), maxBackupLine)
	sum := &countedHash{Hash: sha256.New()}
	b, err := decodeHead(lines)
	if err != nil {
		return nil, err
	}
	for last := lines.Bytes(); ; last = lines.Bytes() {
		sum.addLine(last)
		if !lines.Scan() {
			return nil, unfinished(lines.Err())
		}
		var line struct {
			backupLine
			backupTail
		}
		if err := strictly(lines.Bytes(), &line); err != nil {
			if lines.Err() != nil { // the line is all that there is of it
				return nil, unfinished(lines.Err())
			}
			return nil, fmt.Errorf("line %d: %w", len(b.records)+2, err)
		}
		if line.SHA256 != "" {
			if line.backupTail != (backupTail{len(b.records), sum.bytes, sum.sum()}) || line.Table != "" {
				return nil, errors.New("it was changed: its last line does not fit the others")
			}
			break
		}
		record := store.Record{Table: line.Table, ID: line.ID, Text: bytes.Clone(line.Record)}
		if err := checkRecord(record); err != nil {
			return nil, err
		}
		b.records = append(b.records, record)
	}
	// gzip's own end has a checksum too, and nothing must follow.
	if lines.Scan() || lines.Err() != nil {
		return nil, errors.Join(errors.New("something follows its last line"), lines.Err())
	}
	return b, nil
}

func decodeHead(lines *bufio.Scanner) (*backup, error) {
	if !lines.Scan() {
		return nil, unfinished(lines.Err())
	}
	var head backupHead
	err := json.Unmarshal(lines.Bytes(), &head)
	if err != nil && lines.Err() != nil {
		return nil, unfinished(lines.Err())
	}
	if err != nil || head.Format == 0 {
		return nil, errors.New("it is not a backup of a cloud controller")
	}
	if head.Format != backupFormat {
		return nil, fmt.Errorf("it has format %d and this program knows format %d: use the version that wrote it", head.Format, backupFormat)
	}
	authority, err := ca.Parse([]byte(head.CA.Certificate), []byte(head.CA.Key))
	if err != nil {
		return nil, fmt.Errorf("its certificate authority: %w", err)
	}
	return &backup{Created: head.Created, Revision: head.Revision, authority: authority}, nil
}

func strictly(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

func unfinished(err error) error {
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("it is not whole: %w", err)
}

// checkRecord tells whether a record is one of a table of ours.
func checkRecord(r store.Record) error {
	for _, t := range tables() {
		if t.Name() == r.Table {
			return t.Check(r)
		}
	}
	return fmt.Errorf("this program knows no table %q: use the version that wrote the backup", r.Table)
}
